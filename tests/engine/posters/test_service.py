"""Posters as rows: asked for once, drawn by workers, retried, superseded, forgotten, kept apart."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import text

from growth_engine.channels.storage import PictureNotFound, StorageUnavailable
from growth_engine.context import Parts
from growth_engine.events import ContactErased
from growth_engine.kit.clock import FixedClock
from growth_engine.kit.errors import Invalid, NotFound
from growth_engine.people import erasure
from growth_engine.people import service as people
from growth_engine.posters import gallery, jobs, queries, reactions, scan, service
from growth_engine.posters.models import Poster
from growth_engine.posters.service import PosterWords
from tests.engine.posters.conftest import LINK, Someone, join, photograph
from tests.factories.workspaces import make_workspace


def ask(parts: Parts, who: Someone, **more: Any) -> Poster:
    words = more.pop("words", PosterWords("en"))
    with parts.open(who.workspace_id) as ctx:
        return service.request_poster(
            ctx,
            participant_id=who.participant_id,
            campaign_id=who.campaign_id,
            contact_id=who.contact_id,
            template_id=more.pop("template_id", who.template_id),
            qr_content=more.pop("qr_content", LINK),
            words=words,
        )


def drain(parts: Parts, workspace_id: str) -> int:
    total = 0
    while done := jobs.render_posters(parts, workspace_id):
        total += done
    return total


def shown(parts: Parts, who: Someone) -> Poster:
    with parts.open(who.workspace_id) as ctx:
        found = queries.poster_of(ctx, who.participant_id)
        assert found is not None
        return found


def rows(parts: Parts, workspace_id: str) -> list[Any]:
    with parts.open(workspace_id) as ctx:
        return list(ctx.session.execute(text("SELECT id, state, content_key FROM posters ORDER BY id")))


def test_a_poster_asked_for_is_drawn_and_its_code_is_the_link(parts: Parts, workspace: str) -> None:
    who = join(parts, workspace, avatar=photograph())
    assert ask(parts, who).state == "queued"
    assert drain(parts, workspace) == 1
    poster = shown(parts, who)
    assert poster.state == "ready"
    assert poster.content_key is not None
    picture = Image.open(io.BytesIO(parts.storage.get(poster.content_key)))
    assert picture.size == (750, 1334)
    assert scan.decoded(picture) == LINK


def test_asking_again_for_the_same_poster_changes_nothing(parts: Parts, workspace: str) -> None:
    who = join(parts, workspace)
    first = ask(parts, who)
    assert ask(parts, who).id == first.id
    drain(parts, workspace)
    assert ask(parts, who).state == "ready"
    assert drain(parts, workspace) == 0
    assert len(rows(parts, workspace)) == 1


def test_a_hundred_askers_at_once_get_one_poster(parts: Parts, workspace: str) -> None:
    who = join(parts, workspace)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(ask(parts, who).id)) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 100
    assert len(set(found)) == 1


def test_a_changed_name_is_a_new_poster_and_the_old_one_goes_when_it_is_ready(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    who = join(parts, workspace, nickname="Ann")
    ask(parts, who)
    drain(parts, workspace)
    old = shown(parts, who)
    clock.advance(timedelta(minutes=1))
    with parts.open(workspace) as ctx:
        ctx.session.execute(
            text("UPDATE contacts SET nickname = 'Anna' WHERE id = :id"), {"id": who.contact_id}
        )
    assert ask(parts, who).id != old.id
    assert parts.storage.exists(old.content_key)
    drain(parts, workspace)
    new = shown(parts, who)
    assert new.state == "ready"
    assert new.content_key != old.content_key
    assert [row.id for row in rows(parts, workspace)] == [new.id]
    assert not parts.storage.exists(old.content_key)


def test_a_name_changed_back_before_drawing_shows_the_poster_wished_for_last(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    who = join(parts, workspace)
    first = ask(parts, who, words=PosterWords("en", headline="One"))
    for headline in ("Two", "One"):
        clock.advance(timedelta(seconds=1))
        ask(parts, who, words=PosterWords("en", headline=headline))
    drain(parts, workspace)
    assert shown(parts, who).id == first.id
    assert len(rows(parts, workspace)) == 1


def test_without_consent_neither_name_nor_picture_is_drawn(parts: Parts, workspace: str) -> None:
    silent = join(parts, workspace, consent=False, avatar=photograph())
    poster = ask(parts, silent)
    assert poster.personal["nickname"] is None
    assert poster.personal["avatar_key"] is None
    agreed = join(parts, workspace, avatar=photograph(), number=2)
    assert ask(parts, agreed).personal["nickname"] == "小鹿🦌"
    with parts.open(workspace) as ctx:
        people.record_consent(
            ctx,
            agreed.contact_id,
            purpose=service.CONSENT_PURPOSE,
            wording_version="1",
            granted=False,
            source="test",
        )
    assert ask(parts, agreed).personal["nickname"] is None


def test_an_avatar_taken_down_meanwhile_does_not_stop_the_poster(parts: Parts, workspace: str) -> None:
    who = join(parts, workspace, avatar=photograph())
    poster = ask(parts, who)
    parts.storage.delete(poster.personal["avatar_key"])
    drain(parts, workspace)
    assert shown(parts, who).state == "ready"


def test_a_worker_killed_while_drawing_is_followed_by_another_after_its_lease(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    """A real process claims the poster, is killed with SIGKILL, and the row is drawn later."""
    who = join(parts, workspace)
    ask(parts, who)
    script = textwrap.dedent(
        """
        import os, signal, sys
        from datetime import datetime
        from growth_engine.channels import storage
        from growth_engine.context import Parts
        from growth_engine.kit.clock import FixedClock
        from growth_engine.kit.tx import Database
        from growth_engine.posters import jobs
        from growth_engine.settings import from_env
        settings = from_env(os.environ)
        clock = FixedClock(datetime.fromisoformat(sys.argv[2]))
        kept = storage.from_settings(settings)
        parts = Parts(settings, Database(settings.database_url), clock, *[None] * 5, kept, None)
        jobs.draw = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        jobs.render_posters(parts, sys.argv[1])
        """
    )
    settings = parts.settings
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "LEDGER_REDIS_URL": settings.ledger_redis_url,
        "QUEUE_REDIS_URL": settings.queue_redis_url,
        "GROWTH_SECRET_KEY": settings.secret_key,
        "GROWTH_DATA_DIR": str(settings.data_dir),
    }
    arguments = [sys.executable, "-c", script, workspace, clock.now().isoformat()]
    killed = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert shown(parts, who).state == "rendering"
    assert drain(parts, workspace) == 0, "the lease still holds"
    clock.advance(jobs.LEASE + timedelta(seconds=1))
    assert drain(parts, workspace) == 1
    poster = shown(parts, who)
    assert (poster.state, poster.attempts) == ("ready", 2)


def test_a_poster_that_kills_every_worker_is_given_up(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    who = join(parts, workspace)
    ask(parts, who)
    for _ in range(jobs.ATTEMPTS):
        with parts.open(workspace) as ctx:
            assert len(jobs.claim(ctx)[0]) == 1
        clock.advance(jobs.LEASE + timedelta(seconds=1))
    assert drain(parts, workspace) == 0
    poster = shown(parts, who)
    assert (poster.state, poster.error) == ("failed", jobs.WORKER_DIED)


def test_a_worker_that_comes_back_late_does_not_overwrite_the_one_that_took_over(
    parts: Parts, workspace: str, clock: FixedClock
) -> None:
    who = join(parts, workspace)
    ask(parts, who)
    with parts.open(workspace) as ctx:
        late = jobs.claim(ctx)[0][0]
        ctx.session.expunge_all()
    clock.advance(jobs.LEASE + timedelta(seconds=1))
    drain(parts, workspace)
    ready = shown(parts, who)
    with parts.open(workspace) as ctx:
        assert not jobs.settle(ctx, jobs.Outcome(late, error="too late"))
        assert not jobs.settle(ctx, jobs.Outcome(late, content_key=ready.content_key))
    assert shown(parts, who).state == "ready"
    assert parts.storage.exists(ready.content_key)


def test_full_storage_is_tried_five_times_shown_and_retried_on_demand(
    parts: Parts, workspace: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = join(parts, workspace)
    ask(parts, who)

    def full(data: bytes, content_type: str) -> str:
        raise StorageUnavailable(params={"place": "the disk", "reason": "No space left on device."})

    with monkeypatch.context() as patch:
        patch.setattr(parts.storage, "put", full)
        for attempt in range(1, jobs.ATTEMPTS + 1):
            assert drain(parts, workspace) == 1, attempt
            assert drain(parts, workspace) == 0, "it waits before the next attempt"
            clock.advance(timedelta(hours=1))
        assert drain(parts, workspace) == 0
    with parts.open(workspace) as ctx:
        (stuck,) = queries.failed(ctx)
        assert stuck.attempts == jobs.ATTEMPTS
        assert "No space left on device" in (stuck.error or "")
    with parts.open(workspace) as ctx:
        assert service.retry_failed(ctx) == 1
    drain(parts, workspace)
    assert shown(parts, who).state == "ready"
    assert shown(parts, who).error is None


def test_a_link_too_long_for_the_code_fails_at_once_and_the_others_go_on(
    parts: Parts, workspace: str
) -> None:
    dense, plain = join(parts, workspace), join(parts, workspace, number=2)
    ask(parts, dense, qr_content="https://a.cn/" + "x" * 450)
    ask(parts, plain)
    assert drain(parts, workspace) == 2
    assert shown(parts, dense).state == "failed"
    assert "too long" in (shown(parts, dense).error or "")
    assert shown(parts, plain).state == "ready"


def test_wrong_inputs_are_refused_by_field(parts: Parts, workspace: str) -> None:
    who = join(parts, workspace)
    with pytest.raises(Invalid) as refused:
        ask(parts, who, qr_content="x" * 2000, words=PosterWords("en", headline="y" * 301))
    assert set(refused.value.extra["errors"]) == {"qr_content", "headline"}


def test_forgetting_a_person_deletes_rows_and_pictures(parts: Parts, workspace: str) -> None:
    who, other = join(parts, workspace), join(parts, workspace, number=2)
    for one in (who, other):
        ask(parts, one, qr_content=f"{LINK}?{one.participant_id}")
    drain(parts, workspace)
    mine, theirs = shown(parts, who), shown(parts, other)
    with parts.open(workspace) as ctx:
        assert service.forget(ctx, who.contact_id) == 1
    with parts.open(workspace) as ctx:
        assert service.forget(ctx, who.contact_id) == 0
        assert queries.poster_of(ctx, who.participant_id) is None
    with pytest.raises(PictureNotFound):
        parts.storage.get(mine.content_key)
    assert parts.storage.exists(theirs.content_key)


def test_a_picture_somebody_else_shows_too_is_kept(parts: Parts, workspace: str) -> None:
    who, twin = join(parts, workspace), join(parts, workspace, number=2)
    ask(parts, who)
    ask(parts, twin)
    drain(parts, workspace)
    assert shown(parts, who).content_key == shown(parts, twin).content_key
    with parts.open(workspace) as ctx:
        service.forget(ctx, who.contact_id)
    assert parts.storage.exists(shown(parts, twin).content_key)


def test_a_person_forgotten_while_being_drawn_leaves_no_picture(parts: Parts, workspace: str) -> None:
    who = join(parts, workspace)
    ask(parts, who)
    with parts.open(workspace) as ctx:
        claimed, documents = jobs.claim(ctx)
        ctx.session.expunge_all()
    outcome = jobs.draw(parts.storage, claimed[0], documents[claimed[0].id])
    assert outcome.content_key is not None
    with parts.open(workspace) as ctx:
        service.forget(ctx, who.contact_id)
    with parts.open(workspace) as ctx:
        assert not jobs.settle(ctx, outcome)
    assert not parts.storage.exists(outcome.content_key)


def test_erasing_a_contact_forgets_the_posters(parts: Parts, workspace: str) -> None:
    who = join(parts, workspace)
    ask(parts, who)
    drain(parts, workspace)
    poster = shown(parts, who)
    with parts.open(workspace) as ctx:
        erasure.erase(ctx, who.contact_id)
    with parts.open(workspace) as ctx:
        reactions.forget_posters(ctx, ContactErased(who.contact_id))
    assert rows(parts, workspace) == []
    assert not parts.storage.exists(poster.content_key)


def test_another_workspace_sees_and_draws_nothing(parts: Parts, workspace: str) -> None:
    who = join(parts, workspace)
    poster = ask(parts, who)
    elsewhere = make_workspace(parts)
    assert jobs.render_posters(parts, elsewhere) == 0
    with parts.open(elsewhere) as ctx:
        assert queries.poster_of(ctx, who.participant_id) is None
        assert service.retry_failed(ctx) == 0
        assert not queries.templates(ctx)
        for call in (
            lambda: queries.poster(ctx, poster.id),
            lambda: queries.template(ctx, who.template_id),
            lambda: queries.version(ctx, who.template_id, 1),
            lambda: service.forget(ctx, who.contact_id),
            lambda: service.require_verified(ctx, who.template_id),
            lambda: service.save_version(ctx, who.template_id, gallery.document("mint")),
        ):
            with pytest.raises(NotFound):
                call()
    assert shown(parts, who).state == "queued"


def test_a_workspace_gets_a_ready_template_once(parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        first = service.default_template(ctx)
        assert service.default_template(ctx) == first
        assert service.from_gallery(ctx, service.DEFAULT_TEMPLATE) == first
        service.require_verified(ctx, first)
        with pytest.raises(gallery.UnknownTemplate):
            service.from_gallery(ctx, "../aurora")


def test_a_template_is_used_only_after_it_has_been_verified(parts: Parts, workspace: str) -> None:
    who = join(parts, workspace)
    with parts.open(workspace) as ctx:
        made = service.create_template(ctx, "mine", "Mine", gallery.document("paper"))
        for template_id in (made.id, None):
            with pytest.raises(service.TemplateNotVerified):
                service.require_verified(ctx, template_id)
        with pytest.raises(service.TemplateNameTaken):
            service.create_template(ctx, "mine", "Mine too", gallery.document("paper"))
    with pytest.raises(service.TemplateNotVerified):
        ask(parts, who, template_id=made.id)
    with parts.open(workspace) as ctx:
        assert service.publish_version(ctx, made.id, 1).ok
    assert ask(parts, who, template_id=made.id).template_version == 1


def test_an_edit_is_a_new_version_and_a_bad_one_is_never_published(parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        made = service.create_template(ctx, "mine", "Mine", gallery.document("paper"))
        service.publish_version(ctx, made.id, 1)
        document = gallery.document("paper")
        code = next(layer for layer in document["layers"] if layer["type"] == "qr")
        code["dark"] = "#e8e8e8"
        assert service.save_version(ctx, made.id, document) == 2
        found = service.publish_version(ctx, made.id, 2)
        assert not found.ok
        assert "qr_contrast" in {problem.code for problem in found.problems}
    with parts.open(workspace) as ctx:
        assert queries.template(ctx, made.id).current_version == 1
        versions = queries.versions(ctx, made.id)
        assert [one.version for one in versions] == [2, 1]
        assert versions[0].verified_at is None
        assert versions[0].problems
        assert versions[1].spec == gallery.document("paper")


def test_an_archived_template_is_offered_no_longer(parts: Parts, workspace: str) -> None:
    with parts.open(workspace) as ctx:
        template_id = service.from_gallery(ctx, "mint")
        service.archive_template(ctx, template_id)
        assert template_id not in {one.id for one in queries.templates(ctx)}
