"""The OpenAPI document: served, committed, readable."""

from __future__ import annotations

import json
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from growth_engine.kit import rest

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


def test_the_committed_description_is_the_served_one(client: FlaskClient) -> None:
    served = client.get("/api/v1/openapi.json")

    assert served.status_code == 200
    assert served.json == json.loads(COMMITTED.read_text("utf-8")), (
        "run `growth-engine openapi --to docs/openapi.json` and commit the file"
    )


def test_it_describes_every_address_of_the_api_and_no_other(app: Flask) -> None:
    described = rest.description(app)
    operations = {
        (method.upper(), path)
        for path, methods in described["paths"].items()
        for method in methods
        if method != "parameters"
    }
    served = {
        (method, rule.rule.replace("<reference:ref>", "{ref}").replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and not rule.rule.endswith(("/openapi.json", "/docs"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert operations == served
    assert described["openapi"].startswith("3.1")


def test_every_operation_explains_itself(app: Flask) -> None:
    described = rest.description(app)
    names = []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            where = f"{method} {path}"
            names.append(operation["operationId"])
            assert operation["summary"].endswith("."), where
            assert {"401", "403", "429"} <= set(operation["responses"]), where
            keyed = any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", []))
            assert keyed == (method != "get"), where
    assert len(names) == len(set(names))


def test_every_reference_in_it_leads_somewhere(app: Flask) -> None:
    described = rest.description(app)
    text = json.dumps(described)
    for reference in set(text.split('"$ref": "')[1:]):
        place = described
        for step in reference.split('"')[0].removeprefix("#/").split("/"):
            place = place[step]


def test_the_readable_page_names_every_operation(client: FlaskClient, app: Flask) -> None:
    page = client.get("/api/v1/docs", headers={"Accept": "text/html", "Accept-Language": "en"})

    assert (page.status_code, page.mimetype) == (200, "text/html")
    for path, methods in rest.description(app)["paths"].items():
        assert path in page.text
        for method, operation in methods.items():
            if method != "parameters":
                assert f'id="{operation["operationId"]}"' in page.text
    assert "<script>" not in page.text
    assert "style=" not in page.text
