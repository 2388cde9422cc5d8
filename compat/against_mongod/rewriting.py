"""Cases and their values, looked through and changed: smaller ones for the smallest form, and ones with a suspected cause taken out."""
import re

from cases import BODIES


# --- looking through ---

def values_everywhere(value):
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from values_everywhere(item)


def any_value(value, wanted):
    return any(map(wanted, values_everywhere(value)))


def parts_everywhere(value):
    return (one for one in values_everywhere(value) if isinstance(one, dict))


def expressions_in(value):
    return (one for one in parts_everywhere(value) if len(one) == 1 and next(iter(one)).startswith("$"))


# --- the same change everywhere ---

def everywhere(value, change):
    """The value with `change` applied from the inside out."""
    if isinstance(value, dict):
        value = {name: everywhere(item, change) for name, item in value.items()}
    elif isinstance(value, list):
        value = [everywhere(item, change) for item in value]
    return change(value)


def in_bodies(case, change):
    return {**case, **{part: everywhere(case[part], change) for part in BODIES if part in case}}


def in_case(case, change):
    """In the documents too, but for their _id."""
    return {**in_bodies(case, change), "docs": [{**everywhere(one, change), **({"_id": one["_id"]} if "_id" in one else {})} for one in case["docs"]]}


def without_one(value, name):
    return {key: one for key, one in value.items() if key != name} if isinstance(value, dict) else value


def renamed(value, names):
    return everywhere(value, lambda item: {names.get(key, key): one for key, one in item.items()} if isinstance(item, dict) else item)


# --- parts of a case, and smaller ones ---

def deletions(value):
    """The value without one field or element, at any depth."""
    if isinstance(value, dict):
        for name in value:
            if len(value) > 1:
                yield {key: item for key, item in value.items() if key != name}
            for smaller in deletions(value[name]):
                yield {**value, name: smaller}
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if len(value) > 1:
                yield value[:index] + value[index + 1:]
            for smaller in deletions(item):
                yield value[:index] + [smaller] + value[index + 1:]


def parts_of(case):
    """Smaller cases of which each has fewer of the errors that the case has."""
    kind, found = case["kind"], []
    for name in ("update", "projection", "filter"):
        fields = case.get(name)
        if isinstance(fields, dict):
            found += [{**case, name: {key: item}} for key, item in fields.items() if len(fields) > 1]
            found += [{**case, name: {key: {inner: one}}} for key, item in fields.items() if isinstance(item, dict) and len(item) > 1 for inner, one in item.items()]
            found += [{**case, name: clause} for items in fields.values() if isinstance(items, list) for clause in items if isinstance(clause, dict)]
            found += [{**case, name: smaller} for smaller in deletions(fields)]
        elif isinstance(fields, list):
            found += [{**case, name: [stage]} for stage in fields if len(fields) > 1]
    if "projection" in case:    # one that does not collide with the others
        found += [{**case, "projection": {"other." + key if key == name else key: item for key, item in case["projection"].items()}} for name in case["projection"] if name != "_id"]
    if isinstance(case.get("update"), dict):    # paths that say nothing of elements
        found += [{**case, "update": {name: {re.sub(r"\.\$(\[\w*\])?", "", path): one for path, one in fields.items()}}} for name, fields in case["update"].items() if isinstance(fields, dict)]
    if "arrayFilters" in case:  # one that is not used is an error of its own
        found += [{key: item for key, item in part.items() if key != "arrayFilters"} for part in found]
        found += [{**part, "arrayFilters": [one]} for part in found if "arrayFilters" in part for one in case["arrayFilters"]]
    stages = case.get("pipeline", [])
    found += [{**case, "pipeline": stages[:end]} for end in range(1, len(stages))]
    found += [{**case, "pipeline": [stage]} for stage in stages if len(stages) > 1]
    found += [{**case, "pipeline": [{name: smaller}]} for stage in stages for name, body in stage.items() if name not in ("$facet", "$lookup") for smaller in deletions(body)]
    found += [{**case, "pipeline": inner} for stage in stages if isinstance(stage.get("$facet"), dict) for inner in stage["$facet"].values() if isinstance(inner, list)]
    found += [{**case, "pipeline": [one]} for stage in stages if isinstance(stage.get("$facet"), dict) for inner in stage["$facet"].values() if isinstance(inner, list) for one in inner]
    bodies = [case[name] for name in BODIES if name in case]
    if kind != "update" or isinstance(case["update"], list):
        documents = {"docs": case["docs"], "other": case["other"]}
        free = everywhere(bodies, lambda one: 1 if isinstance(one, str) and one.startswith("$$") and one[2:3].islower() else one)     # variables are bound elsewhere
        found += [{"kind": "expression", **documents, "expr": one} for one in [*expressions_in(bodies), *(expressions_in(free) if free != bodies else ())] if one is not case.get("expr")]
    return found[:80]


def reductions_of_case(case):
    docs = case["docs"]
    if len(docs) > 1:
        half = len(docs) // 2
        yield {**case, "docs": docs[:half]}
        yield {**case, "docs": docs[half:]}
    for index in range(len(docs)):
        yield {**case, "docs": docs[:index] + docs[index + 1:]}
    if case["other"]:
        yield {**case, "other": []}
    for part in BODIES:
        if part in case:
            for smaller in reductions(case[part]):
                if part != "query" or isinstance(smaller, dict) and "_id" in smaller:   # an upsert without it makes one
                    yield {**case, part: smaller}
    for index, document in enumerate(docs):
        for smaller in reductions(document):
            if isinstance(smaller, dict) and smaller.get("_id") == document.get("_id"):
                yield {**case, "docs": docs[:index] + [smaller] + docs[index + 1:]}


def reductions(value):
    if isinstance(value, dict):
        yield from value.values()
        for name in value:
            yield {key: item for key, item in value.items() if key != name}
        for name in value:
            for smaller in reductions(value[name]):
                yield {**value, name: smaller}
    elif isinstance(value, list):
        yield from value
        for index in range(len(value)):
            yield value[:index] + value[index + 1:]
        for index, item in enumerate(value):
            for smaller in reductions(item):
                yield value[:index] + [smaller] + value[index + 1:]
    elif isinstance(value, str):
        if value not in ("", "a") and not value.startswith("$"):
            yield "a"
    elif value is not None and not (type(value) is int and value in (0, 1)) and not isinstance(value, bool):
        yield None
        yield 1
