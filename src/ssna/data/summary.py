"""What ``prepare`` did and what came of it, for people: a few lines, or everything."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ssna.core.errors import option
from ssna.data.quality import sentences

_OPTION = re.compile("`([a-z_]+)`")
_BAR = 40  # letters
_EARLY = "1990"  # few logs are older
_NAMES = 5  # of files
_COUNTS = ("users", "items", "interactions")


def summary(manifest: Mapping[str, Any]) -> list[str]:
    """The lines that stand on the screen after a run."""
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in manifest["dropped"].items() if count)
    checks, users = manifest["checks"], manifest["evaluation_users"]
    average = manifest["interactions"] / manifest["users"]
    lines = [
        f"read      {manifest['rows_read']:,} events{_files(manifest['source'])}",
        *_columns(manifest["source"]),
        f"dropped   {dropped or 'none'}",
        f"users     {manifest['users']:,} of {checks['users_read']:,}, {average:.1f} events each on average",
        f"items     {manifest['items']:,} of {checks['items_read']:,}"
        + (f"; {checks['items_without_text']:,} without text" if checks["items_without_text"] else ""),
        *_new_items(manifest),
        *_attributes(manifest),
        f"events    {manifest['interactions']:,} ({manifest['interactions_used']:,} read in the test)",
        f"split     {_split(manifest)}",
        *([] if manifest.get("period") is None else [f"period    {_period(manifest['period'])}"]),
        f"evaluated {users['valid']:,} users in validation, {users['test']:,} in test "
        f"({manifest['unseen_targets']:,} test targets never occur in training)",
    ]
    if "appended_to" in manifest:
        new = [f"{manifest[kind] - manifest['appended_to'][kind]:,} {kind}" for kind in ("users", "items")]
        joined = manifest["appended_to"]
        lines.append(f"appended  {joined['rows']:,} of these events, from {joined['logs']}")
        lines.append(f"new       {', '.join(new)}; all others keep their rows")
    undecided = (checks["same_time"] or {}).get("test_targets", 0)
    if undecided and manifest["split"] == "leave-one-out":
        lines.append(
            f"ties      {_share(undecided, users['test'])} test targets are last by the rule for ties alone: "
            "what one user did at one time has no order of its own"
        )
    lines += [f"warning   {warning}" for warning in warnings(manifest)]
    return lines


def _columns(source: Mapping[str, Any]) -> Iterator[str]:
    """What was read as what: names that nobody gave are guessed."""
    if "columns" in source:
        named = {role: name for role, name in source["columns"].items() if name}
        texts = named.pop("text", ())
        said = [*(f"{role} {name}" for role, name in named.items()), *([f"text {' + '.join(texts)}"] if texts else [])]
        other = [f"{role} {name}" for role, names in source.get("also_fitting", {}).items() for name in names]
        yield f"columns   {', '.join(said)}" + (f"; these fit, too: {', '.join(other)}" if other else "")


def warnings(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What may not be as it was meant, and what to do about it."""
    if "checks" not in manifest:
        return
    checks, joined, period = manifest["checks"], manifest.get("appended_to"), manifest.get("period")
    if period is not None and period["first"] < _EARLY:
        yield (
            f"the first event is of {period['first']}: numbers are read as seconds since 1970; if they count days, or "
            "spell dates, write ISO dates"
        )
    if "unreadable_time" in checks:
        yield f"times such as {checks['unreadable_time']!r} cannot be read; write ISO dates (2024-05-31), or numbers"
    yield from sentences(manifest)
    for kind, words in checks.get("placeholder_ids", {}).items():
        if words:
            yield f"{kind} called {', '.join(words)} are {kind} like any other; leave cells empty where there is none"
    # Notes are kept in the manifest, with the names of options between backquotes.
    yield from (_OPTION.sub(lambda name: option(name[1]), note) for note in checks.get("notes", ()))
    if joined is None or "again" not in joined:  # nothing was appended, or by an earlier version
        return
    if joined["again"]:
        yield f"{', '.join(joined['again'])}: logs of this name were in the data already"
    if joined["repeats"] > joined["interactions"] / 2:
        yield (
            f"{joined['repeats']:,} events repeat one of the same user, item and time; if these logs were appended "
            "before, take the data from before that"
        )


def everything(whole: Mapping[str, Any]) -> list[str]:
    """All that :func:`ssna.data.checks.described` knows, section by section."""
    return [
        line
        for section in (_rows(whole), _core(whole), _table(whole), _lengths(whole), _targets(whole), _checks(whole))
        for line in section
    ]


def differences(manifest: Mapping[str, Any], expected: Mapping[str, int]) -> list[str]:
    """A line for each count that is not as expected."""
    return [
        f"{name}: {manifest[name]:,} instead of {expected[name]:,} ({manifest[name] - expected[name]:+,})"
        for name in _COUNTS
        if name in expected and manifest[name] != expected[name]
    ]


def _files(source: Mapping[str, Any]) -> str:
    over = source.get("passed_over", ())
    if not over:
        return ""
    names = ", ".join(over[:_NAMES]) + (", ..." if len(over) > _NAMES else "")
    return f" of {len(source['files']):,} files; no tables by their names: {names}"


def _rows(whole: Mapping[str, Any]) -> Iterable[str]:
    if "rows_read" not in whole:
        return
    yield "Rows"
    yield from _pairs(
        {"read": whole["rows_read"]}
        | {f"- {reason}": count for reason, count in whole["dropped"].items() if count}
        | {"= kept": whole["interactions"]}
    )
    yield from (f"  {line}" for line in _columns(whole["source"]))
    yield ""


def _core(whole: Mapping[str, Any]) -> Iterable[str]:
    rounds = whole.get("checks", {}).get("core_rounds", [])
    if not rounds:
        return
    yield "Rounds of the k-core: what each drops"
    reasons = [reason for reason in rounds[0]["rows"] if any(each["rows"][reason] for each in rounds)]
    yield "  " + "".join(f"{name:>16}" for name in ("round", "users", "items", *reasons))
    for number, each in enumerate(rounds, start=1):
        cells = (number, each["users"], each["items"], *(each["rows"][reason] for reason in reasons))
        yield "  " + "".join(f"{cell:>16,}" for cell in cells)
    yield ""


def _table(whole: Mapping[str, Any]) -> Iterable[str]:
    """The columns of the paper's Table 1: of the data set, and of the logs before anything was dropped."""
    figures = whole["statistics"]
    yield f"{'':10}{'users':>12}{'items':>12}{'events':>14}{'a user':>10}{'an item':>10}{'density':>10}"
    yield (
        f"{'  kept':10}{figures['users']:>12,}{figures['items']:>12,}{figures['interactions']:>14,}"
        f"{figures['per_user']['mean']:>10.1f}{figures['per_item']['mean']:>10.1f}{figures['density']:>10.2%}"
    )
    checks = whole.get("checks")
    if checks:
        yield f"{'  in logs':10}{checks['users_read']:>12,}{checks['items_read']:>12,}{whole['rows_read']:>14,}"
    yield ""


def _lengths(whole: Mapping[str, Any]) -> Iterable[str]:
    figures = whole["statistics"]
    yield f"Events a user: {_spread(figures['per_user'])}; an item: {_spread(figures['per_item'])}"
    most = max(each["users"] for each in figures["lengths"])
    for each in figures["lengths"]:
        span = f"{each['from']:,}" if each["from"] == each["to"] else f"{each['from']:,}-{each['to']:,}"
        bar = "#" * round(_BAR * each["users"] / most)
        yield f"  {span:>15} {each['users']:>11,} {bar}".rstrip()
    yield (
        f"  {figures['users_cut']:,} users have more than the {whole['max_history']:,} events that are read before the "
        f"test; {figures['events_cut']:,} events stand before those"
    )
    yield ""


def _targets(whole: Mapping[str, Any]) -> Iterable[str]:
    yield f"Split: {_split(whole)}"
    for name, targets in whole["statistics"]["targets"].items():
        users = targets["evaluation_users"]
        yield (
            f"  {name:6}{users:>11,} evaluation users; {_share(targets['never_trained'], users)} targets never occur "
            f"in training, {_share(targets['repeated'], users)} stand in the user's own history"
        )
    yield ""


def _checks(whole: Mapping[str, Any]) -> Iterable[str]:
    figures, checks, events = whole["statistics"], whole.get("checks", {}), whole["interactions"]
    yield "Checks"
    found = {"events on an item that the user had before": _share(figures["repeats"], events)}
    tied = checks.get("same_time")
    if tied is not None:
        found["of these, at the very same time"] = f"{tied['duplicates']:,}"
        found["events at the same time as another of the user"] = _share(tied["events"], events)
    if tied is not None and whole["split"] == "leave-one-out":
        for name in ("valid", "test"):
            users = whole["evaluation_users"][name]
            found[f"{name} targets that only the rule for ties decides"] = _share(tied[f"{name}_targets"], users)
    if checks:
        found["items in the logs without text"] = _share(checks["items_without_text"], checks["items_read"])
        found["items with text that no event names"] = f"{checks['items_never_named']:,}"
    found["items whose text another one has"] = _share(figures["items_of_equal_text"], figures["items"])
    found["words in a text"] = _spread(figures["text_words"])
    if figures["period"] is not None:
        found["first event"], found["last event"] = figures["period"]["first"], figures["period"]["last"]
    yield from _pairs(found)
    yield from (f"  warning: {warning}" for warning in (warnings(whole) if checks else ()))
    if "rules" in whole and tied is not None:
        yield f"  the rule for ties: {whole['rules']['ties']}"


def _pairs(values: Mapping[str, Any]) -> Iterable[str]:
    width = max(map(len, values))
    for name, value in values.items():
        yield f"  {name:{width}}  {value:>12,}" if isinstance(value, int) else f"  {name:{width}}  {value}"


def _spread(values: Mapping[str, float]) -> str:
    return f"{values['least']:,} to {values['most']:,}, median {values['median']:,.0f}, mean {values['mean']:,.1f}"


def _share(count: int, of: int) -> str:
    return f"{count:,} ({count / of:.1%})" if of and count else f"{count:,}"


def _new_items(manifest: Mapping[str, Any]) -> list[str]:
    why = manifest["checks"].get("new_items")
    if why is None:
        return []
    new, events = manifest.get("new_items", 0), manifest["options"]["min_item"]
    said = f"{why['few_events']:,} have under {events} events or lost them, {why['no_event']:,} none"
    return [f"new items {new:,} of {manifest['items'] + new:,}, by their texts: {said}"]


def _attributes(manifest: Mapping[str, Any]) -> list[str]:
    lacking, items = manifest["checks"].get("attributes_missing", {}), manifest["items"] + manifest.get("new_items", 0)
    kinds = manifest.get("attributes", {})
    said = [
        f"{name} ({kinds[name]}" + (f"; {_share(few, items)} lack it)" if few else ")") for name, few in lacking.items()
    ]
    return [f"attributes {', '.join(said)}"] if said else []


def _period(period: Mapping[str, str]) -> str:
    return f"{period['first'][:10]} to {period['last'][:10]}"


def _split(manifest: Mapping[str, Any]) -> str:
    if "split_events" in manifest:
        counts = ", ".join(f"{count:,} {part}" for part, count in manifest["split_events"].items())
        untested, users = manifest["untested_users"], manifest["users"]
        return f"predefined: {counts} events; {untested:,} of {users:,} users have no test event"
    if "moments" not in manifest:
        return str(manifest["split"])
    dates = {name: moment["date"] for name, moment in manifest["moments"].items()}
    return f"{manifest['split']}: validation from {dates['valid']}, test from {dates['test']}"
