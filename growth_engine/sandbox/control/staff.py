"""What employees do in the WeCom client, by name: the side of the company that no API moves."""

from __future__ import annotations

from collections.abc import Callable

from growth_engine.sandbox import people
from growth_engine.sandbox.oa.actions import CannotDo
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import callbacks, groups, mass, relations, tags
from growth_engine.sandbox.world import World

Action = Callable[[World, str, str, Doc], Doc]
ACTIONS: dict[str, Action] = {}


def _action(function: Action) -> Action:
    ACTIONS[function.__name__] = function
    return function


def do(world: World, userid: str, action: str, params: Doc) -> Doc:
    """Do one thing as this employee."""
    if action not in ACTIONS:
        raise CannotDo(f"no employee can {action}; known are {', '.join(sorted(ACTIONS))}")
    with world.open():
        for corpid in world.store.all("wecom.corps"):
            if world.store.get("wecom.employees", f"{corpid}/{userid}") is not None:
                try:
                    return ACTIONS[action](world, corpid, userid, params)
                except KeyError as missing:
                    raise CannotDo(f"{action} needs {missing}") from missing
    raise CannotDo(f"there is no employee {userid}")


@_action
def open_group(world: World, corpid: str, userid: str, params: Doc) -> Doc:
    doc = groups.make(world, corpid, userid, str(params["name"]))
    return {"chat_id": doc["chat_id"]}


@_action
def group_code(world: World, corpid: str, userid: str, params: Doc) -> Doc:  # noqa: ARG001
    """Show a group's own code (``content``, good ``until``), as the employee would save it as a picture."""
    return groups.own_code(world, corpid, params["chat_id"])


@_action
def invite(world: World, corpid: str, userid: str, params: Doc) -> Doc:
    """Bring a person into a group."""
    doc = groups.group(world, corpid, params["chat_id"])
    groups.join(world, corpid, doc, params["person"], groups.INVITED, invitor=userid)
    return {}


@_action
def remove(world: World, corpid: str, userid: str, params: Doc) -> Doc:  # noqa: ARG001
    """Remove a person from a group."""
    groups.leave(
        world, corpid, groups.group(world, corpid, params["chat_id"]), params["person"], removed=True
    )
    return {}


@_action
def rename_group(world: World, corpid: str, userid: str, params: Doc) -> Doc:  # noqa: ARG001
    groups.rename(world, corpid, groups.group(world, corpid, params["chat_id"]), str(params["name"]))
    return {}


@_action
def dismiss(world: World, corpid: str, userid: str, params: Doc) -> Doc:  # noqa: ARG001
    groups.dismiss(world, corpid, groups.group(world, corpid, params["chat_id"]))
    return {}


@_action
def add(world: World, corpid: str, userid: str, params: Doc) -> Doc:
    """Add a person as a customer oneself: an add without state."""
    done = relations.add(world, corpid, params["person"], userid, add_way=relations.CARD)
    return {"external_userid": done["external_userid"]}


@_action
def delete(world: World, corpid: str, userid: str, params: Doc) -> Doc:
    """Delete a customer."""
    external = relations.external_id(world, corpid, params["person"])
    relations.employee_deletes(world, corpid, relations.require(world, corpid, userid, external))
    return {}


@_action
def confirm(world: World, corpid: str, userid: str, params: Doc) -> Doc:
    """Send a mass message that waits (``msgid``)."""
    mass.confirm(world, corpid, userid, params["msgid"])
    return {}


@_action
def publish(world: World, corpid: str, userid: str, params: Doc) -> Doc:
    """Publish a moment that waits (``jobid``)."""
    mass.publish(world, corpid, userid, params["jobid"])
    return {}


@_action
def say(world: World, corpid: str, userid: str, params: Doc) -> Doc:
    """Write to a customer by hand."""
    external = relations.external_id(world, corpid, params["person"])
    found = relations.require(world, corpid, userid, external)
    relations.save(world, corpid, found | {"talked": True})
    chat = relations.chat_of(corpid, userid)
    people.say(world, params["person"], chat, "them", "text", text=str(params["text"]))
    return {}


@_action
def edit(world: World, corpid: str, userid: str, params: Doc) -> Doc:
    """Change a customer's ``remark`` or ``tags`` (ids) by hand: unlike the API's changes this is told."""
    external = relations.external_id(world, corpid, params["person"])
    found = relations.require(world, corpid, userid, external)
    found |= {name: params[name] for name in ("remark", "tags") if name in params}
    relations.save(world, corpid, found)
    content = {"UserID": userid, "ExternalUserID": external}
    callbacks.push(world, corpid, relations.CONTACT_EVENT, "edit_external_contact", content)
    return {}


@_action
def make_tag(world: World, corpid: str, userid: str, params: Doc) -> Doc:  # noqa: ARG001
    """Make a tag (``group``, ``name``) in the console."""
    tag = tags.make(world, corpid, str(params["group"]), str(params["name"]))
    callbacks.push(
        world, corpid, "change_external_tag", "create", {"Id": tag["id"], "TagType": "tag", "StrategyId": 0}
    )
    return {"id": tag["id"]}


@_action
def leave_company(world: World, corpid: str, userid: str, params: Doc) -> Doc:  # noqa: ARG001
    """The employee resigns: customers and groups wait to be handed over."""
    member = relations.employee(world, corpid, userid)
    world.store.put("wecom.employees", f"{corpid}/{userid}", member | {"left_at": world.now()})
    for key, room in world.store.all("wecom.groups", f"{corpid}/").items():
        if room["owner"] == userid:
            world.store.put("wecom.groups", key, room | {"left_over": True})
    return {}


@_action
def set_welcome(world: World, corpid: str, userid: str, params: Doc) -> Doc:
    """Configure a welcome in the admin console (``text``; empty to remove): then no WelcomeCode comes."""
    member = relations.employee(world, corpid, userid)
    text = str(params.get("text", "")) or False
    world.store.put("wecom.employees", f"{corpid}/{userid}", member | {"console_welcome": text})
    return {}
