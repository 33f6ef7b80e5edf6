"""Customers and who of the staff knows them: the records behind section 3.11 and the events of 3.3."""

from __future__ import annotations

from growth_engine.sandbox import people
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import callbacks
from growth_engine.sandbox.world import World, timer

WELCOME_SECONDS = 20
SCAN, CARD, GROUP, LINK, ASSIGNED = 1, 3, 4, 16, 202
CONTACT_EVENT = "change_external_contact"


def external_id(world: World, corpid: str, person_id: str) -> str:
    """A person's external_userid for this corporation (wm…: a WeChat user)."""
    made = external_text(world, corpid, person_id)
    if world.store.get("wecom.customers", f"{corpid}/{made}") is None:
        world.store.put("wecom.customers", f"{corpid}/{made}", {"person": person_id})
    return made


def external_text(world: World, corpid: str, person_id: str) -> str:
    """The id that ``external_id`` gives, without making it known."""
    return people.opaque(world, "wm", 32, "external", corpid, person_id)


def person_of(world: World, corpid: str, external_userid: object) -> Doc | None:
    found = world.store.get("wecom.customers", f"{corpid}/{external_userid}")
    return None if found is None else people.person(world, found["person"])


def employee(world: World, corpid: str, userid: object) -> Doc:
    """A member who has not left; 60111 for nobody."""
    found = world.store.get("wecom.employees", f"{corpid}/{userid}")
    if found is None or found["left_at"]:
        raise Refused(60111, "userid not found")
    return found


def require_active(world: World, corpid: str, userid: object) -> Doc:
    found = employee(world, corpid, userid)
    if not found["active"]:
        raise Refused(41054, "user not activated or not real-name verified")
    return found


def relation(world: World, corpid: str, userid: str, external_userid: str) -> Doc | None:
    """What this employee has of this customer, while the employee has not deleted them."""
    return world.store.get("wecom.relations", f"{corpid}/{userid}/{external_userid}")


def require(world: World, corpid: str, userid: object, external_userid: object) -> Doc:
    """The relation; 60111, 40096 or 84061 when there is none."""
    employee(world, corpid, userid)
    if person_of(world, corpid, external_userid) is None:
        raise Refused(40096, "invalid external userid")
    found = relation(world, corpid, str(userid), str(external_userid))
    if found is None:
        raise Refused(84061, "not external contact")
    return found


def save(world: World, corpid: str, doc: Doc) -> Doc:
    return world.store.put("wecom.relations", f"{corpid}/{doc['userid']}/{doc['external_userid']}", doc)


def of_employee(world: World, corpid: str, userid: str) -> list[Doc]:
    return list(world.store.all("wecom.relations", f"{corpid}/{userid}/").values())


def of_customer(world: World, corpid: str, external_userid: str) -> list[Doc]:
    found = world.store.all("wecom.relations", f"{corpid}/").values()
    return [one for one in found if one["external_userid"] == external_userid]


def chat_of(corpid: str, userid: str) -> str:
    return f"wecom:{corpid}:{userid}"


# -- adding ------------------------------------------------------------------------------------------


def add(
    world: World, corpid: str, person_id: str, userid: str, *, state: str = "", add_way: int = SCAN
) -> Doc:
    """A person adds an employee through a code that needs no checking: the half event, then the full one."""
    corp = world.store.get("wecom.corps", corpid)
    assert corp is not None
    external = external_id(world, corpid, person_id)
    known = relation(world, corpid, userid, external)
    if known is not None and not known["deleted_by_customer"]:
        return known
    doc: Doc = (known or {"remark": "", "description": "", "mobiles": [], "tags": [], "transfers": []}) | {
        "userid": userid,
        "external_userid": external,
        "person": person_id,
        "state": state,
        "add_way": add_way,
        "made": world.now(),
        "half": corp["half_then_full"],
        "welcomed": False,
        # They have written to each other before: no welcome for old friends.
        "talked": bool(known and known["talked"]),
        "deleted_by_customer": False,
        "refuses_transfer": False,
    }
    save(world, corpid, doc)
    people.say(world, person_id, chat_of(corpid, userid), "system", "added")
    if doc["half"]:
        _tell_added(world, corpid, doc, "add_half_external_contact")
        payload = {"corpid": corpid, "userid": userid, "external_userid": external}
        world.later(corp["accept_seconds"], "wecom.accept", payload)
    else:
        _tell_added(world, corpid, doc, "add_external_contact")
    return doc


@timer("wecom.accept")
def _accept(world: World, payload: Doc) -> None:
    with world.open():
        doc = relation(world, payload["corpid"], payload["userid"], payload["external_userid"])
        if doc is not None and doc["half"] and not doc["deleted_by_customer"]:
            save(world, payload["corpid"], doc | {"half": False})
            _tell_added(world, payload["corpid"], doc, "add_external_contact")


def _tell_added(world: World, corpid: str, doc: Doc, change: str) -> None:
    member = employee(world, corpid, doc["userid"])
    code = None
    if not (doc["talked"] or doc["welcomed"] or member["console_welcome"] or doc["add_way"] == ASSIGNED):
        code = world.random_text(43)
        welcome = {
            "corpid": corpid,
            "userid": doc["userid"],
            "external_userid": doc["external_userid"],
            "until": world.now() + WELCOME_SECONDS,
        }
        world.store.put("wecom.welcome", code, welcome)
    content = {
        "UserID": doc["userid"],
        "ExternalUserID": doc["external_userid"],
        "State": doc["state"] or None,
        "WelcomeCode": code,
    }
    callbacks.push(world, corpid, CONTACT_EVENT, change, content)
    if member["console_welcome"] and not doc["talked"] and not doc["welcomed"]:
        save(world, corpid, doc | {"welcomed": True})
        people.say(
            world,
            doc["person"],
            chat_of(corpid, doc["userid"]),
            "them",
            "text",
            text=member["console_welcome"],
        )


def take_over(world: World, corpid: str, given: Doc, userid: str) -> None:
    """After a handover: the relation is another employee's, with its remark and tags, and no new state."""
    doc = given | {
        "userid": userid,
        "state": "",
        "add_way": ASSIGNED,
        "made": world.now(),
        "talked": False,
        "refuses_transfer": False,
    }
    save(world, corpid, doc)
    people.say(world, doc["person"], chat_of(corpid, userid), "system", "added")
    _tell_added(world, corpid, doc, "add_external_contact")


# -- parting -----------------------------------------------------------------------------------------


def customer_deletes(world: World, corpid: str, doc: Doc) -> None:
    """The customer deletes the employee: the employee keeps the customer in the list."""
    save(world, corpid, doc | {"deleted_by_customer": True})
    people.say(world, doc["person"], chat_of(corpid, doc["userid"]), "system", "deleted")
    content = {"UserID": doc["userid"], "ExternalUserID": doc["external_userid"]}
    callbacks.push(world, corpid, CONTACT_EVENT, "del_follow_user", content)


def employee_deletes(world: World, corpid: str, doc: Doc, source: str | None = None) -> None:
    """The employee deletes the customer; ``source`` when a handover did."""
    world.store.drop("wecom.relations", f"{corpid}/{doc['userid']}/{doc['external_userid']}")
    content = {"UserID": doc["userid"], "ExternalUserID": doc["external_userid"], "Source": source}
    callbacks.push(world, corpid, CONTACT_EVENT, "del_external_contact", content)
