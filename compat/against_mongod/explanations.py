"""What the search expects to differ: one function per row of kind "search" in known_differences.json, which has the reason in words.

    explanation(ask, case, theirs, ours, only) → the name of the row that explains the difference, or None

`known_NAME(case, theirs, ours)` looks at the two outcomes alone; it says so only when they themselves are the proof. `cause_NAME(ask, case, theirs, ours, only)`
asks the servers again: `ask` is the search (load, outcomes, alone, genuine, millrace), `only` the _id of the one document the case is tried on.
"""
import decimal
import math
import re

import servers
from bson.decimal128 import Decimal128
from bson_values import BINARY, DATE, DECIMAL, OID, UNDEFINED, Int64, Opaque, date, identical, to_json
from cases import BODIES, DB, SAME, UNORDERED_ARRAYS, Outcome, bagged, names_in, operators_of, same
from known_differences import rows
from rewriting import any_value, deletions, everywhere, expressions_in, in_bodies, in_case, parts_everywhere, parts_of, renamed, values_everywhere, without_one


def explanation(ask, case, theirs, ours, only=None):
    for name, recognises in KNOWN:
        if recognises(case, theirs, ours):
            return name
    alone = {**case, "without": 1}
    for changed in (alone,) if "without" in case else (alone, case):    # one cause by itself first
        for name, asks in CAUSES:
            if asks(ask, changed, theirs, ours, only):
                return name
    return None


# --- values ---

def is_decimal(value):
    return isinstance(value, Opaque) and value.type == DECIMAL


def milliseconds_of(value):
    """None for what is no date."""
    return int.from_bytes(value.data, "little", signed=True) if isinstance(value, Opaque) and value.type == DATE else None


def with_format(value):
    if isinstance(value, dict) and isinstance(value.get("$dateToString"), dict) and "timezone" in value["$dateToString"] and "format" not in value["$dateToString"]:
        return {"$dateToString": {**value["$dateToString"], "format": "%Y-%m-%dT%H:%M:%S.%L"}}
    return value


DATE_ARITHMETIC = {"$add", "$subtract", "$toDate", "$dateAdd", "$dateSubtract", "$dateTrunc", "$dateFromParts", "$dateDiff"}


def nearer_number(value):
    """A number of milliseconds that no date has."""
    if is_decimal(value):
        number = Decimal128.from_bid(value.data).to_decimal()
        return value if number.is_finite() and abs(number) < 1 << 53 else 1
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not abs(value) < 1 << 53:
        return type(value)(1)
    return value


def later_date(value):
    milliseconds = milliseconds_of(value)
    return date(0) if milliseconds is not None and milliseconds < -1_577_923_200_000 else value


def nearer_date(value):
    if abs(milliseconds_of(value) or 0) > 9_223_000_000_000_000_000:
        return date(8_640_000_000_000_000 * (1 if value.data[7] < 128 else -1))
    return value


def double_of(value):
    if not is_decimal(value):
        return value
    number = Decimal128.from_bid(value.data).to_decimal()
    return math.copysign(1e-300 if abs(number) < 1 else 1e300, number) if number.is_finite() and number and not 1e-300 < abs(number) < 1e300 else float(number)


def without_on_error(case):
    return in_bodies(case, lambda one: {"$convert": without_one(one["$convert"], "onError")} if isinstance(one, dict) and set(one) == {"$convert"} else one)


def renamed_conversion(case):
    return {**case, **{part: renamed(case[part], {"$toDecimal": "$toDouble"}) for part in BODIES if part in case}}


def whole_decimal(value):
    if is_decimal(value):
        number = Decimal128.from_bid(value.data).to_decimal()
        if not (number.is_finite() and number == number.to_integral_value() and abs(number) < 1 << 63):
            return "no number"
    return value


def nearly_identical(left, right):
    """identical(), but for the last digits of decimals and of doubles."""
    if identical(left, right):
        return True
    if isinstance(left, float) and isinstance(right, float) and left == left and right == right:
        return left == right or abs(left - right) <= abs(left) * 1e-15
    if isinstance(left, str) and isinstance(right, str):    # decimals as text
        try:
            with decimal.localcontext() as context:
                context.prec = 40
                x, y = decimal.Decimal(left), decimal.Decimal(right)
                return x.is_finite() and y.is_finite() and abs(x - y) <= abs(x) * decimal.Decimal("1E-31")
        except decimal.InvalidOperation:
            return False
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(map(nearly_identical, left.values(), right.values()))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(nearly_identical, left, right))
    if is_decimal(left) and is_decimal(right):
        with decimal.localcontext() as context:
            context.prec = 40
            x, y = (Decimal128.from_bid(value.data).to_decimal() for value in (left, right))
            if x.is_infinite() != y.is_infinite():  # the last digit of the greatest decimal
                return min(abs(x), abs(y)) > decimal.Decimal("9.99999999999999999999999999999999E+6144") and (x > 0) == (y > 0)
            return x == y or (x.is_finite() and y.is_finite() and abs(x - y) <= abs(x) * decimal.Decimal("1E-31"))
    return identical(left, right)


# --- what the outcomes tell by themselves ---

def known_missing_stage(case, theirs, ours):
    return ours.code == 238 and "not supported by Millrace yet" in ours.message


def known_modified_without_change(case, theirs, ours):
    both = theirs.code is None and ours.code is None
    return both and case["kind"] == "update" and isinstance(case["update"], list) and "_id" in names_in(case["update"], set()) and theirs.results[1] == 1 and ours.results[1] == 0 and identical(theirs.results[2], ours.results[2])


def known_chosen_of_equal_elements(case, theirs, ours):
    digits = decimal.Context(prec=2000)     # of any double

    def number(value):
        if is_decimal(value):
            exact = Decimal128.from_bid(value.data).to_decimal()
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            exact = decimal.Decimal(value)
        else:
            return value
        return "NaN" if exact.is_nan() else "0" if not exact else str(exact.normalize(digits))

    def by_value(value):
        return everywhere(value, number)
    return bool(operators_of(case) & (UNORDERED_ARRAYS | {"$bucketAuto"})) and theirs.code is None and ours.code is None and identical(bagged(by_value(theirs.results)), bagged(by_value(ours.results)))


def known_characters_cut_into_bytes(case, theirs, ours):
    return {"$replaceAll", "$replaceOne"} & operators_of(case) != set() and theirs.code is None and any_value(theirs.results, lambda value: isinstance(value, str) and any("\udc80" <= c <= "\udcff" for c in value))


def known_code_of_a_constant_set(case, theirs, ours):
    return (theirs.code, ours.code) in ((17046, 17310), (17044, 5887502))


def known_limit_of_densify(case, theirs, ours):
    return ours.code == 5897900 and "$densify" in operators_of(case)


def known_newer_patterns(case, theirs, ours):
    return theirs.code in (10503900, 10503901) and bool(re.search("found: (regex|/)", theirs.message))


def known_code_of_too_large(case, theirs, ours):
    return (theirs.code, ours.code) in ((13548, 10334), (10334, 17419))


def known_generated_ids(case, theirs, ours):
    def without_ids(results):
        return everywhere(results, lambda one: "generated" if isinstance(one, Opaque) and one.type == OID else one)
    return "upsert" in case and theirs.code is None and ours.code is None and "_id" not in names_in(case["update"], set()) and identical(without_ids(theirs.results), without_ids(ours.results))


def known_sign_of_overflow(case, theirs, ours):
    def positive(value):
        if is_decimal(value) and Decimal128.from_bid(value.data).to_decimal().is_infinite():
            return float("inf")
        return value
    return "$pow" in operators_of(case) and theirs.code is None and ours.code is None and identical(everywhere(theirs.results, positive), everywhere(ours.results, positive))


def known_count_of_a_group(case, theirs, ours):
    return ours.code in (31109, 5787902, 5787903, 5787908) and "PlanExecutor" not in ours.message and bool(operators_of(case) & N_FORMS)


N_FORMS = {"$firstN", "$lastN", "$minN", "$maxN", "$topN", "$bottomN"}
CONSTANTS_COMPUTED_LATE = N_FORMS | {"$setField", "$getField", "$unsetField", "$regexMatch", "$regexFind", "$regexFindAll", "$replaceOne", "$replaceAll", "$lookup", "$setEquals"}


def known_odd_date_strings(case, theirs, ours):
    text = re.search("Error parsing date string '(.*)'; ", ours.message, re.S)
    return ours.code == 241 and text is not None and not re.match(r"\d{4}-\d", text[1])


def known_ambiguous_sort_keys(case, theirs, ours):
    return theirs.code == 16746 and bool(operators_of(case) & {"$top", "$topN", "$bottom", "$bottomN"})


def known_get_field(case, theirs, ours):
    return "$getField" in operators_of(case) and theirs.code in (5654600, 5654601)


def known_codes_of_subtraction(case, theirs, ours):
    return bool({"$subtract", "$fill"} & operators_of(case)) and theirs.code in (31109, 159) and ours.code == 15


def known_newer_codes_of_stages(case, theirs, ours):
    pairs = {(15948, 9039800): {"$count"}, (5429404, 8947401): {"$setWindowFields"}, (None, 8947401): {"$setWindowFields"}, (2, 9): {"$bit"}, (15976, 9657900): {"$top", "$topN", "$bottom", "$bottomN"},
             (None, 9657900): {"$top", "$topN", "$bottom", "$bottomN"}, (None, 28747): {"$sample"}}
    return bool(pairs.get((theirs.code, ours.code), set()) & operators_of(case))


def known_empty_name_of_a_field(case, theirs, ours):
    return (theirs.code, ours.code) == (4161106, 4161107)


# --- what the servers tell when they are asked again ---

INTEL_FUNCTIONS = {"$pow", "$exp", "$ln", "$log", "$log10", "$sqrt", "$sin", "$cos", "$tan", "$asin", "$acos", "$atan", "$atan2", "$sinh", "$cosh", "$tanh", "$asinh", "$acosh", "$atanh"}


def cause_last_digit_of_decimals(ask, case, theirs, ours, only):
    """There is no difference without the functions that Intel's library computes, and each of them by itself differs at most in the last digits of decimals."""
    found = operators_of(case) & INTEL_FUNCTIONS
    if not found:
        return False
    codes = {theirs.code, ours.code} - {None}   # that of another argument
    if not vanishes(ask, case, {**case, **{part: renamed(case[part], dict.fromkeys(found, "$max")) for part in BODIES if part in case}}, only, codes):
        return False
    for one in expressions_in([case[part] for part in BODIES if part in case]):
        if set(one) & found and not operators_of({"expr": list(one.values())}) & INTEL_FUNCTIONS:
            inner = {"kind": "expression", "docs": case["docs"], "other": case["other"], "expr": one}
            left, right = ask.alone(ask.genuine, inner, only), ask.alone(ask.millrace, inner, only)
            if left.code != right.code or left.code is None and not nearly_identical(left.results, right.results):
                return False
    return True


def cause_date_arithmetic_before_1970(ask, case, theirs, ours, only):
    """Nothing is left of it with the dates of the documents, or all that is added to, cut to whole seconds."""
    def whole_second(value):
        milliseconds = milliseconds_of(value)
        return date(milliseconds + -milliseconds % 1000) if milliseconds is not None and milliseconds < 0 else value
    def cut(value):
        if isinstance(value, dict) and len(value) == 1 and set(value) <= {"$dateAdd", "$dateSubtract"}:
            name, arguments = next(iter(value.items()))
            if isinstance(arguments, dict) and "startDate" in arguments:
                start = arguments["startDate"]
                truncated = {"$dateTrunc": {"date": start, "unit": "second"}}
                return {name: {**arguments, "startDate": {"$cond": [{"$eq": [{"$type": start}, "date"]}, truncated, start]}}}
        return value
    if theirs.code is not None or not operators_of(case) & {"$dateAdd", "$dateSubtract"}:
        return False
    return vanishes(ask, case, in_case(case, whole_second), only) or vanishes(ask, case, in_bodies(case, cut), only)


def cause_deviation_of_nothing(ask, case, theirs, ours, only):
    if not {"$setWindowFields", "$stdDevSamp"} <= operators_of(case) or not any_value(theirs.results, lambda one: isinstance(one, float) and str(one) == "-0.0"):
        return False
    return vanishes(ask, case, {**case, "pipeline": renamed(case["pipeline"], {"$stdDevSamp": "$stdDevPop"})}, only)


def cause_order_of_ties(ask, case, theirs, ours, only):
    """The documents or elements are the same, and each $sort that says more leaves no difference."""
    if theirs.code is not None or ours.code is not None or not identical(bagged(theirs.results), bagged(ours.results)):
        return False
    if "$sortArray" in operators_of(case):  # whose order of equal elements only long arrays lose
        return any(isinstance(one, list) and len(one) > 16 for one in values_everywhere(theirs.results))
    def without_ties(value):
        if not isinstance(value, dict):
            return value
        return {name: {**one, "_id": one.get("_id", 1)} if name in ("$sort", "sortBy") and isinstance(one, dict) else one for name, one in value.items()}
    return case["kind"] == "pipeline" and vanishes(ask, case, in_bodies(case, without_ties), only)

def vanishes(ask, case, changed, only, codes=()):
    """The difference is gone when its cause is taken out of the documents or of the case, or what is left of it has one other cause. `codes`: errors that both may have then."""
    if to_json([changed.get(part) for part in (*BODIES, "docs")]) == to_json([case.get(part) for part in (*BODIES, "docs")]):
        return False
    changed = {**changed, "docs": list(changed["docs"])}
    ask.load(changed)
    try:
        theirs, ours = ask.outcomes(changed, only)
        if same(changed, theirs, ours):     # that both fail shows nothing
            return theirs is SAME or theirs.code in (None, *codes)
        if "without" in case:   # two causes are enough
            return False
        return explanation(ask, {**changed, "without": 1}, theirs, ours, only) is not None
    finally:
        ask.load(case)


def cause_averages_of_large_longs(ask, case, theirs, ours, only):
    def smaller(value):
        return type(value)(1) if isinstance(value, Int64) and abs(value) > 1 << 53 else value
    return "$avg" in operators_of(case) and vanishes(ask, case, in_case(case, smaller), only)


def cause_powers_of_ten(ask, case, theirs, ours, only):
    def eleven(value):
        if is_decimal(value):
            return 11 if Decimal128.from_bid(value.data).to_decimal() == 10 else value
        return type(value)(11) if isinstance(value, (int, float)) and value == 10 else value
    return "$pow" in operators_of(case) and vanishes(ask, case, in_case(case, eleven), only)


def cause_sign_of_overflow(ask, case, theirs, ours, only):
    """Both give what Millrace gives when the sign is worked out beside the $pow: minus for a negative base and an odd exponent."""
    def signed(value):
        if isinstance(value, dict) and set(value) == {"$pow"} and isinstance(value["$pow"], list) and len(value["$pow"]) == 2:
            base, exponent = value["$pow"]
            odd = {"$and": [{"$lt": [base, 0]}, {"$eq": [{"$abs": {"$mod": [exponent, 2]}}, 1]}]}
            return {"$multiply": [{"$cond": [odd, -1, 1]}, {"$pow": [{"$abs": base}, exponent]}]}
        return value
    def infinite(value):
        return is_decimal(value) and Decimal128.from_bid(value.data).to_decimal().is_infinite()
    if "$pow" not in operators_of(case) or theirs.code is not None or not any_value(theirs.results, infinite):
        return False
    changed = in_bodies(case, signed)
    return same(case, ours, ask.alone(ask.millrace, changed, only)) and vanishes(ask, case, changed, only)


def cause_rounding_at_32_bits(ask, case, theirs, ours, only):
    return "$round" in operators_of(case) and vanishes(ask, case, in_case(case, lambda one: Int64(one) if type(one) is int and abs(one) > 1 << 30 else one), only)


def cause_characters_cut_apart(ask, case, theirs, ours, only):
    return bool({"$replaceAll", "$replaceOne"} & operators_of(case)) and vanishes(ask, case, in_case(case, lambda one: "empty" if one == "" else one), only)


def cause_lookup_in_nothing(ask, case, theirs, ours, only):
    """It fails as well when the collection is there."""
    if case["kind"] != "pipeline" or theirs.code is not None or ours.code is None or not {"$lookup", "let"} <= operators_of(case):
        return False
    there = everywhere(case["pipeline"], lambda one: {**one, "from": "c"} if isinstance(one, dict) and "from" in one else one)
    return ask.alone(ask.genuine, {**case, "pipeline": there}).code == ours.code


def cause_densify_behind_its_range(ask, case, theirs, ours, only):
    """The server passes the $densify, whatever comes of it behind."""
    if case["kind"] != "pipeline" or ours.code not in (5733201, 6053600) or theirs.code == ours.code:
        return False
    return any("$densify" in stage and ask.alone(ask.genuine, {**case, "pipeline": case["pipeline"][:index + 1]}).code is None for index, stage in enumerate(case["pipeline"]))


def cause_limit(ask, case, theirs, ours, only):
    """Without the $limit the server fails as well."""
    if case["kind"] != "pipeline" or theirs.code is not None or ours.code is None or "$limit" not in operators_of(case):
        return False
    unlimited = everywhere(case["pipeline"], lambda one: [stage for stage in one if not (isinstance(stage, dict) and set(stage) == {"$limit"})] if isinstance(one, list) else one)
    return ask.alone(ask.genuine, {**case, "pipeline": unlimited}).code == ours.code


def cause_optimizer(ask, case, theirs, ours, only):
    """Without its optimizer the server does what Millrace does."""
    plain = case
    if case["kind"] == "find" and not any(name.endswith(".$") for name in case["projection"]):  # it can be turned off for aggregates alone
        plain = {**case, "kind": "pipeline", "pipeline": [{"$match": case["filter"]}, {"$project": case["projection"]}]}
        reduced = {**case, "projection": {name: one for name, one in case["projection"].items() if not (isinstance(one, dict) and set(one) & {"$slice", "$elemMatch"})}}
        if reduced["projection"] != case["projection"]:
            return bool(reduced["projection"]) and cause_optimizer(ask, reduced, ask.alone(ask.genuine, reduced), ask.alone(ask.millrace, reduced), only)
    if plain["kind"] == "pipeline":     # not into the query before it either
        plain = {**plain, "pipeline": [{"$_internalInhibitOptimization": {}}, *plain["pipeline"]]}
    with servers.WithoutOptimizer(ask.genuine):
        return same(case, ask.alone(ask.genuine, plain, only), ours)


def cause_constants_of_nested_sums(ask, case, theirs, ours, only):
    """The optimizer fails, and with the constants of sums and products of two moved to their ends by hand the server does without it what Millrace does."""
    def constant(value):
        return not any_value(value, lambda one: isinstance(one, str) and one.startswith("$"))
    def moved(value):
        if not isinstance(value, dict) or len(value) != 1 or not set(value) <= {"$add", "$multiply"}:
            return value
        (name, operands), = value.items()
        swap = isinstance(operands, list) and len(operands) == 2 and constant(operands[0]) and not constant(operands[1])
        return {name: operands[::-1]} if swap else value
    if theirs.code not in (14, 16554) or "optimize" not in theirs.message or not {"$add", "$multiply"} & operators_of(case):
        return False
    return cause_optimizer(ask, in_bodies(case, moved), theirs, ours, only)


def cause_plain_find(ask, case, theirs, ours, only):
    """In an aggregate, where 6.0.5 optimizes expressions, it does what Millrace does."""
    if case["kind"] == "update" and isinstance(case["update"], list):
        ask.load({**case, "kind": "pipeline", "docs": [case["query"]] if "upsert" in case else case["docs"]})     # what an upsert begins with
        there = ask.alone(ask.genuine, {**case, "kind": "pipeline", "pipeline": case["update"]})
        return there.code == ours.code if ours.code is not None else there.code is None and all(any(identical(one, other) for other in ours.results[2]) for one in there.results)
    if case["kind"] not in ("match", "find") or "$expr" not in operators_of(case) | set(case["filter"]):
        return False
    there = ask.alone(ask.genuine, {**case, "kind": "pipeline", "pipeline": [{"$match": case["filter"]}, {"$project": {"_id": 1}}]})
    return same(case, there, ours)


def cause_order_of_clauses(ask, case, theirs, ours, only):
    """A $match that the server does not sort, as it stands in a $facet or behind others: at the beginning it does not fail."""
    if theirs.code is None and ours.code is not None and case["kind"] == "match" and "$expr" in operators_of(case):   # here one that fails came first
        return any(ask.alone(ask.genuine, {**case, "filter": one}).code == ours.code for one in deletions(case["filter"]))
    if theirs.code is None or "$expr" not in operators_of(case):
        return False
    if case["kind"] in ("match", "find"):   # a clause that settles the answer, perhaps another one for each document
        return ours.code is None and all(_settled(ask, case, document) for document in case["docs"])
    if case["kind"] != "pipeline":
        return False
    if ours.code is None and {"$or", "$nor", "$and"} & operators_of(case) and any(same(case, ask.alone(ask.genuine, {**case, "pipeline": one}), ours) for one in deletions(case["pipeline"])):
        return True
    filters = [one["$match"] for one in parts_everywhere(case["pipeline"]) if set(one) == {"$match"}]
    return any(ask.alone(ask.genuine, {**case, "kind": "match", "filter": one}).code is None for one in filters if "$expr" in names_in(one, set()))


def _settled(ask, case, document):
    one = {**case, "docs": [document]}
    ask.load(one)
    try:
        there, here = ask.alone(ask.genuine, one), ask.alone(ask.millrace, one)
        return same(one, there, here) or any(same(one, ask.alone(ask.genuine, {**one, "filter": smaller}), here) for smaller in deletions(case["filter"]))
    finally:
        ask.load(case)


def cause_place_of_a_removed_field(ask, case, theirs, ours, only):
    """With the documents written and read between any two stages, and the objects of $unsetField and $setField built anew, the server does what Millrace does."""
    if theirs.code is not None or ours.code is not None:
        return False
    if case["kind"] == "update" and isinstance(case["update"], list):
        outcome = stage_by_stage(ask, [{"_id": one["_id"], **one} for one in case["docs"]], case["update"])     # as they are stored
        def by_name(documents):
            return everywhere(documents, lambda one: dict(sorted(one.items())) if isinstance(one, dict) else one)
        return outcome is not None and identical(by_name(theirs.results[2]), by_name(ours.results[2])) and identical(outcome.results, ours.results[2])
    if case["kind"] not in ("pipeline", "expression"):
        return False
    if "$unwind" in operators_of(case):     # in one stage: the index in the place of an empty array
        if vanishes(ask, case, in_bodies(case, lambda one: {**one, "includeArrayIndex": "index_of_" + one["includeArrayIndex"]} if isinstance(one, dict) and isinstance(one.get("includeArrayIndex"), str) else one), only):
            return True
    def rebuilt(value):
        if isinstance(value, dict) and len(value) == 1 and set(value) <= {"$unsetField", "$setField"}:
            return {"$arrayToObject": {"$objectToArray": value}}
        return value
    case = in_bodies(case, rebuilt)
    if case["kind"] == "expression":
        return same(case, ask.alone(ask.genuine, case, only), ours)
    outcome = stage_by_stage(ask, [{"_id": one["_id"], **one} for one in case["docs"] if only is None or one["_id"] == only], case["pipeline"])     # as they are stored
    return outcome is not None and same(case, outcome, ours)


def stage_by_stage(ask, documents, stages):
    """What the server makes of the documents when it never sees two stages at once; None: an error."""
    outcome = None
    for stage in stages:
        if "$facet" in stage:
            inner = {name: stage_by_stage(ask, documents, part) for name, part in stage["$facet"].items()}
            if None in inner.values():
                return None
            documents = [{name: part.results for name, part in inner.items()}]
            stage = {"$match": {}}
        ask.genuine.send({"aggregate": 1, "pipeline": [{"$documents": {"$literal": documents}}, stage], "cursor": {"batchSize": 100000}, "$db": DB})
        outcome = Outcome("pipeline", [ask.genuine.receive()], ask.genuine)
        if outcome.code is not None:
            return None
        documents = outcome.results
    return outcome


def cause_first_of_several_errors(ask, case, theirs, ours, only):
    """Both fail, and a part of the case has the error of the one on the other as well."""
    if theirs.code is None or ours.code is None:
        return False
    if case["kind"] == "update":    # its expressions are tried on the same documents
        ask.load({**case, "kind": "expression"})
    for part in parts_of(case):
        if ask.alone(ask.millrace, part, only).code == theirs.code or ask.alone(ask.genuine, part, only).code == ours.code:
            return True
    if case["kind"] == "pipeline":  # where partitions and groups bring the documents into another order
        parts = [part for part in parts_of(case) if part["kind"] == "expression"]
        return any(ask.alone(ask.millrace, part, one["_id"]).code == theirs.code for part in parts for one in case["docs"])
    return False


def cause_constants_before_documents(ask, case, theirs, ours, only):
    """The error of a constant where the server computes none before there is a document: for one document it fails as well."""
    later = case["kind"] in ("match", "find") or isinstance(case.get("update"), list) or bool({"$dateToString", "$dateFromString", "$convert"} & operators_of(case))     # their formats and types
    if ours.code is None or "PlanExecutor" in ours.message or not (later or operators_of(case) & CONSTANTS_COMPUTED_LATE):
        return False
    one = {**case, "kind": "expression", "docs": [{"_id": 0}]}
    ask.load(one)
    try:
        parts = list(expressions_in([case[name] for name in BODIES if name in case]))
        parts += [everywhere(part, lambda one: "$$NOW" if isinstance(one, str) and one[:1] == "$" != one[1:2] else one) for part in parts]     # a value that is there
        return any(ask.alone(ask.genuine, {"kind": "expression", "expr": part, "docs": [], "other": []}).code == ours.code for part in parts)
    finally:
        ask.load(case)


def cause_constants_not_computed(ask, case, theirs, ours, only):
    """With the values of such constants in their places, or the value of a $setField in a place where they are computed, the server does what Millrace does."""
    def taken_out(value):
        if isinstance(value, dict) and isinstance(value.get("$setField"), dict) and "value" in value["$setField"]:
            return {"$let": {"vars": {"taken_out": value["$setField"]["value"]}, "in": {"$setField": {**value["$setField"], "value": "$$taken_out"}}}}
        return value
    def computed(value):
        if not (isinstance(value, dict) and len(value) == 1 and set(value) <= CONSTANTS_COMPUTED_LATE - {"$lookup"}) or any_value(value, lambda one: isinstance(one, str) and one.startswith("$")):
            return value
        found = ask.alone(ask.genuine, {"kind": "expression", "expr": value, "docs": [], "other": []})
        return {"$literal": found.results[0]["r"]} if found.results and "r" in found.results[0] else value
    if not operators_of(case) & CONSTANTS_COMPUTED_LATE or case["kind"] == "update":
        return False
    return any(same(case, ask.alone(ask.genuine, in_bodies(case, change), only), ours) for change in (computed, taken_out))


def cause_hash_of_decimals(ask, case, theirs, ours, only):
    """The server makes two groups, or elements of a set, of a double and a decimal that it compares as equal."""
    def has_twins(value):
        return isinstance(value, list) and len({to_json(one) for one in value}) > len({to_json(everywhere(one, double_of)) for one in value})
    grouping = {"$group", "$sortByCount", "$bucket", "$bucketAuto", "$addToSet", "$setUnion"}
    if theirs.code is not None or ours.code is not None or not operators_of(case) & grouping:
        return False
    if len(theirs.results) <= len(ours.results) and not any_value(theirs.results, has_twins):
        return False
    return vanishes(ask, case, in_case(case, double_of), only)


def cause_elements_left_out(ask, case, theirs, ours, only):
    """A $project of "a.x" leaves places without a value in the array `a` for what is no object, until the document is written."""
    if "$project" not in operators_of(case) or theirs.code is not None and ours.code is not None:
        return False
    return vanishes(ask, case, {**case, "docs": everywhere(case["docs"], lambda one: [item for item in one if isinstance(item, dict)] if isinstance(one, list) else one)}, only)


def cause_offsets_with_seconds(ask, case, theirs, ours, only):
    """Of later dates, or of a date that is computed without the time zone."""
    def in_utc(one):
        return {**one, "timezone": "UTC"} if isinstance(one, dict) and "timezone" in one else one
    if not {"$dateDiff", "timezone"} <= operators_of(case):
        return False
    return vanishes(ask, case, in_case(case, later_date), only) or "$dateFromParts" in operators_of(case) and vanishes(ask, case, in_bodies(case, in_utc), only)


def cause_sums_one_by_one(ask, case, theirs, ours, only):
    """Nothing is left of it with integers in the place of all other numbers, when each sum is a chain of differences, or with doubles for $mod and whole numbers to be taken away."""
    def whole(one):
        if is_decimal(one) or isinstance(one, float):
            return 1
        return type(one)(1) if isinstance(one, int) and not isinstance(one, bool) and abs(one) > 1 << 31 else one
    def chained(one):
        if not (isinstance(one, dict) and set(one) == {"$add"} and isinstance(one["$add"], list) and len(one["$add"]) > 1):
            return one
        first, *others = one["$add"]
        for other in others:
            first = {"$subtract": [first, {"$multiply": [-1, other]}]}
        return first
    def in_doubles_or_whole(one):
        if isinstance(one, dict) and set(one) == {"$mod"} and isinstance(one["$mod"], list):
            return {"$mod": [{"$toDouble": argument} for argument in one["$mod"]]}
        if isinstance(one, dict) and set(one) == {"$subtract"} and isinstance(one["$subtract"], list) and len(one["$subtract"]) == 2:
            taken = one["$subtract"][1]
            return {"$subtract": [one["$subtract"][0], {"$cond": [{"$isNumber": taken}, {"$trunc": taken}, taken]}]}
        return one
    if not operators_of(case) & {"$add", "$subtract", "$mod"}:
        return False
    tries = (in_case(case, whole), {**case, "docs": everywhere(case["docs"], whole)}, in_bodies(case, chained), in_bodies(case, in_doubles_or_whole))
    return any(vanishes(ask, case, changed, only) for changed in tries)


def cause_empty_document_as_value(ask, case, theirs, ours, only):
    """Of a stage that sets something else, a document or a value, nothing is left."""
    def filled(case, filling):
        def stage(one):
            return {name: everywhere(spec, lambda value: filling if value == {} else value) if name in ("$set", "$addFields") else spec for name, spec in one.items()} if isinstance(one, dict) else one
        return in_bodies(case, stage)
    codes = () if ours.code is None else (ours.code,)
    return theirs.code == 40180 and any(vanishes(ask, case, filled(case, filling), only, codes) for filling in ({"filled": 1}, 1))


def cause_deviation_of_one(ask, case, theirs, ours, only):
    """Nothing is left when each result is made a double, and the 0 of a sample null."""
    def result(name, spec):
        double = {"$cond": [{"$isNumber": "$" + name}, {"$toDouble": "$" + name}, "$" + name]}
        return {"$cond": [{"$eq": ["$" + name, 0]}, None, double]} if "$stdDevSamp" in spec else double
    def added(stage):
        if not isinstance(stage, dict) or "$setWindowFields" not in stage or not isinstance(stage["$setWindowFields"].get("output"), dict):
            return [stage]
        output = stage["$setWindowFields"]["output"]
        named = {name: result(name, spec) for name, spec in output.items() if isinstance(spec, dict) and set(spec) & {"$stdDevPop", "$stdDevSamp"}}
        return [stage, {"$addFields": named}] if named else [stage]
    if not {"$setWindowFields", "window"} <= operators_of(case) or not operators_of(case) & {"$stdDevPop", "$stdDevSamp"} or theirs.code is not None or ours.code is not None:
        return False
    return vanishes(ask, case, {**case, "pipeline": [new for stage in case["pipeline"] for new in added(stage)]}, only)


def cause_deviation_after_infinities(ask, case, theirs, ours, only):
    def finite(one):
        if is_decimal(one):
            return one if Decimal128.from_bid(one.data).to_decimal().is_finite() else 1
        return 1.0 if isinstance(one, float) and not math.isfinite(one) else one
    def of_finite(one):
        if not isinstance(one, dict) or "window" not in one:
            return one
        return {name: {"$cond": [{"$and": [{"$isNumber": [value]}, {"$gt": [value, -1e300]}, {"$lt": [value, 1e300]}]}, value, None]} if name in ("$stdDevPop", "$stdDevSamp") else value for name, value in one.items()}
    if not {"$setWindowFields", "window"} <= operators_of(case) or not operators_of(case) & {"$stdDevPop", "$stdDevSamp"} or theirs.code is not None or ours.code is not None:
        return False
    return vanishes(ask, case, {**case, "docs": everywhere(case["docs"], finite)}, only) or vanishes(ask, case, {**case, "pipeline": everywhere(case["pipeline"], of_finite)}, only)


def cause_year_with_on_error(ask, case, theirs, ours, only):
    """Without onError both fail by it."""
    if theirs.code != 18537 or not {"$convert", "onError"} <= operators_of(case):
        return False
    return vanishes(ask, case, without_on_error(case), only, (18537,))


def cause_null_as_first_day(ask, case, theirs, ours, only):
    def without_day(one):
        return without_one(one, "startOfWeek") if isinstance(one, dict) and "unit" in one and one.get("startOfWeek", 1) is None else one
    return "$dateTrunc" in operators_of(case) and vanishes(ask, case, in_bodies(case, without_day), only)


def cause_name_of_the_partition(ask, case, theirs, ours, only):
    """A name or a string that looks so, and nothing without partitions."""
    def random_name(one):
        return isinstance(one, str) and re.fullmatch(r"[A-Za-z0-9+/]{22}==", one) or isinstance(one, dict) and any(map(random_name, one))
    if not {"$setWindowFields", "partitionBy"} <= operators_of(case) or theirs.code is not None or not any_value(theirs.results, random_name):
        return False
    return vanishes(ask, case, {**case, "pipeline": everywhere(case["pipeline"], lambda one: without_one(one, "partitionBy"))}, only)


def cause_null_and_undefined(ask, case, theirs, ours, only):
    def text(one):
        return "undefined" if isinstance(one, Opaque) and one.type == UNDEFINED else one
    return any_value(case["docs"], lambda one: isinstance(one, Opaque) and one.type == UNDEFINED) and vanishes(ask, case, {**case, "docs": everywhere(case["docs"], text)}, only)


def cause_flags_beside_null(ask, case, theirs, ours, only):
    """Without its options the pattern that is null makes no difference."""
    def without_options(one):
        if isinstance(one, dict) and set(one) & {"$regexMatch", "$regexFind", "$regexFindAll"}:
            return {name: without_one(spec, "options") if isinstance(spec, dict) else spec for name, spec in one.items()}
        return one
    return theirs.code in (51108, 51110) and vanishes(ask, case, in_bodies(case, without_options), only, (51104, 51105, 51106, ours.code))


def cause_logarithm_of_decimals(ask, case, theirs, ours, only):
    codes = () if ours.code is None else (ours.code,)   # with doubles the server fails as well
    return "$log" in operators_of(case) and vanishes(ask, case, in_case(renamed_conversion(case), double_of), only, codes)


def cause_arguments_of_first(ask, case, theirs, ours, only):
    """The server fails as Millrace does when the last value is asked for instead of the first."""
    if theirs.code is not None or ours.code is None or case["kind"] != "pipeline":
        return False
    def whole(value):
        return {**value, "window": {"documents": ["unbounded", "unbounded"]}} if isinstance(value, dict) and "window" in value else value
    for end in range(1, len(case["pipeline"]) + 1):
        stages = case["pipeline"][:end]
        last_one = {name: renamed(body, {"$first": "$push", "$last": "$push"}) for name, body in stages[-1].items()}
        for changed in (renamed(stages, {"$first": "$last", "$firstN": "$lastN"}), everywhere(stages, whole), everywhere([*stages[:-1], last_one], whole)):
            if ask.alone(ask.genuine, {**case, "pipeline": changed}).code == ours.code:
                return True
    return False


def newer_conversion(theirs):
    return theirs.code == 241 and bool(re.search("Unsupported conversion from (binData|array|object|regex|timestamp|javascript|minKey|maxKey|symbol|dbPointer) to|Unsupported conversion from .* to (binData|array|object)",
                                                 theirs.message))


def cause_newer_conversions(ask, case, theirs, ours, only):
    """The server takes the way of onError for a type that it does not convert yet."""
    if theirs.code is not None and ours.code is not None and {"$convert", "onError"} <= operators_of(case):
        return newer_conversion(theirs) or newer_conversion(ask.alone(ask.genuine, without_on_error(case), only))
    if theirs.code is None and ours.code == 4341115:    # without its format, and that is no failure of the conversion
        return True
    if theirs.code is not None or not {"$convert", "onError"} <= operators_of(case):
        return newer_conversion(theirs)
    bare = without_on_error(case)
    if case["kind"] != "expression" or ours.code is not None:
        return newer_conversion(ask.alone(ask.genuine, bare, only))
    wrong = [document for document, one, other in zip(case["docs"], theirs.results, ours.results) if not identical(one, other)] if only is None else [{"_id": only}]
    return all(newer_conversion(ask.alone(ask.genuine, bare, document["_id"])) for document in wrong)


def cause_bits_of_lost_data(ask, case, theirs, ours, only):
    """With the positions of the bits written out instead of binary data."""
    def positions(value):
        if not isinstance(value, dict):
            return value
        return {name: bit_positions(one) if name.startswith("$bits") and isinstance(one, Opaque) and one.type == BINARY else one for name, one in value.items()}
    return case["kind"] == "update" and vanishes(ask, case, in_bodies(case, positions), only)


def bit_positions(binary):
    data = binary.data[5:]  # behind the length and the subtype
    return [8 * index + bit for index, byte in enumerate(data) for bit in range(8) if byte >> bit & 1]


def cause_z_of_local_time(ask, case, theirs, ours, only):
    """Nothing is left of it with the format written out."""
    return "$dateToString" in operators_of(case) and vanishes(ask, case, in_bodies(case, with_format), only)


def cause_dates_at_the_end_of_64_bits(ask, case, theirs, ours, only):
    codes = () if None in (theirs.code, ours.code) else (theirs.code, ours.code)    # of another document
    if vanishes(ask, case, in_case(case, nearer_date), only, codes):
        return True
    return bool(operators_of(case) & DATE_ARITHMETIC) and vanishes(ask, case, in_case(case, lambda value: nearer_number(nearer_date(value))), only, codes)


def cause_bits_of_decimals(ask, case, theirs, ours, only):
    return any(name.startswith("$bits") for name in operators_of(case)) and vanishes(ask, case, {**case, "docs": everywhere(case["docs"], whole_decimal)}, only)


def _functions(prefix):
    return [(row["name"], globals()[prefix + row["name"]]) for row in rows("search") if prefix + row["name"] in globals()]


KNOWN, CAUSES = _functions("known_"), _functions("cause_")
