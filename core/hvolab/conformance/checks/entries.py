"""The forms of entries: every bit has one meaning, kinds are never confused, what is reserved is refused."""

from __future__ import annotations

from collections.abc import Iterator

from hvolab.arch import EntryForm, EntryFormat, EntryKind, Level, PagingMode
from hvolab.conformance.capabilities import SOUND
from hvolab.conformance.check import Checks, in_words, require
from hvolab.conformance.legal import legal_entries
from hvolab.conformance.subject import Scope, Subject
from hvolab.errors import EncodingError

checks = Checks()
#: Bits that tell kinds apart are tried in all combinations; more than this would be no format that a walker can read.
_MOST_DECIDING_BITS = 14


def _forms(mode: PagingMode) -> Iterator[tuple[Level, EntryForm]]:
    """Every form at every level of the mode that it stands at."""
    for level in mode.levels:
        for form in mode.format.forms:
            if level.name in form.levels:
                yield level, form


def _bits(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _name(form: EntryForm, level: Level) -> str:
    return f"a {form.kind.value} at {level.name}"


@checks.add(Scope.FORMAT, SOUND)
def every_bit_has_one_meaning(subject: Subject) -> None:
    """No bit of an entry belongs to two fields, to two parts of the address, or to a field and the address."""
    mode = subject.target.mode
    for level, form in _forms(mode):
        owners: dict[int, str] = {}
        parts = [(f"PA bits from {part.physical}", part.mask) for part in form.address]
        for title, mask in [*parts, *((field.name, field.mask) for field in form.fields)]:
            require(
                mask < 1 << mode.format.entry_bits,
                f"{title} of {_name(form, level)} is beyond {mode.format.entry_bits} bits",
                where=subject,
            )
            for bit in _bits(mask):
                require(
                    bit not in owners,
                    f"bit {bit} of {_name(form, level)} is both {owners.get(bit)} and {title}",
                    where=subject,
                )
                owners[bit] = title
        names = [field.name for field in form.fields]
        require(len(set(names)) == len(names), f"two fields of {_name(form, level)} have one name", where=subject)


@checks.add(Scope.FORMAT, SOUND)
def addresses_fill_the_pa_width(subject: Subject) -> None:
    """The address in an entry holds every PA bit from what the entry maps up to the PA's width, each once."""
    mode = subject.target.mode
    taken = sum(
        field.width for name in subject.features for field in subject.architecture.feature(name).adds
    )  # what a feature adds takes its bits from the address
    for level, form in _forms(mode):
        physical = [bit for part in form.address for bit in _bits(part.physical_mask)]
        require(len(set(physical)) == len(physical), f"a PA bit stands twice in {_name(form, level)}", where=subject)
        lowest = mode.page_shift if form.kind is EntryKind.TABLE else level.shift
        runs = [count.bit_length() - 1 for name, count in mode.huge_page_levels if name == level.name]
        allowed = {lowest, *(level.shift + run for run in runs if form.kind is EntryKind.LEAF)}
        require(
            min(physical, default=-1) in allowed,
            f"the address of {_name(form, level)} begins with PA bit {min(physical, default=-1)}, not {lowest}",
            where=subject,
            hint="an entry that maps 2 ** n bytes holds the PA bits from n on",
        )
        beyond = sorted(bit for bit in physical if bit >= mode.pa_bits)
        require(not beyond, f"{_name(form, level)} holds PA bits {in_words(beyond)} of {mode.pa_bits}", where=subject)
        missing = sorted(set(range(min(physical), mode.pa_bits)) - set(physical))
        require(
            len(missing) <= taken,
            f"{_name(form, level)} has no place for PA bits {in_words(missing)} of {mode.pa_bits}",
            where=subject,
        )


@checks.add(Scope.MODE)
def every_level_has_its_forms(subject: Subject) -> None:
    """The last level has leaves and no tables, every other level can point to tables, none has two tables."""
    mode = subject.mode
    for level in mode.levels:
        kinds = [form.kind for form in mode.format.forms if level.name in form.levels]
        last = level is mode.last
        tables = kinds.count(EntryKind.TABLE)
        require(tables == (0 if last else 1), f"an entry at {level.name} has {tables} forms of a table", where=subject)
        require(not last or EntryKind.LEAF in kinds, f"an entry at {level.name} cannot be a leaf", where=subject)


@checks.add(Scope.FORMAT, SOUND)
def table_leaf_and_none_are_never_confused(subject: Subject) -> None:
    """Whatever the bits are that tell kinds apart, an entry is one thing: none, a table, a leaf, or illegal."""
    mode = subject.target.mode
    for level in mode.levels:
        _tell_apart(subject, mode.format, level)
        empty = mode.format.empty(level.name)
        kind = mode.format.classify(level.name, empty)
        require(kind is EntryKind.NONE, f"an empty entry at {level.name} is a {kind.value}", where=subject)


def _tell_apart(subject: Subject, entry_format: EntryFormat, level: Level) -> None:
    forms = [form for form in entry_format.forms if level.name in form.levels]
    patterns = [*entry_format.valid_patterns(level.name), *(match for form in forms for match in form.recognize)]
    deciding = 0
    for pattern in patterns:
        deciding |= pattern.mask
    for form in forms:
        for match in form.recognize:
            address = _bits(match.mask & form.address_mask)
            require(
                not address, f"address bits {in_words(address)} tell {_name(form, level)} from others", where=subject
            )
    bits = _bits(deciding)
    require(len(bits) <= _MOST_DECIDING_BITS, f"{len(bits)} bits tell kinds apart at {level.name}", where=subject)
    for number in range(1 << len(bits)):
        raw = sum(1 << bit for position, bit in enumerate(bits) if number >> position & 1)
        _one_kind(subject, entry_format, level, forms, raw)


def _one_kind(subject: Subject, entry_format: EntryFormat, level: Level, forms: list[EntryForm], raw: int) -> None:
    valid = bool(entry_format.is_valid(level.name, raw))
    matching = [form for form in forms if form.matches(raw)]
    kinds = sorted({form.kind.value for form in matching})
    told = f"{raw:#x} at {level.name}"
    require(
        valid or not matching,
        f"{told} is not valid, but has the pattern of a {'/'.join(kinds)}",
        where=subject,
        hint="the pattern of a form includes that of a valid entry",
    )
    require(len(kinds) < 2, f"{told} has the patterns of both a {' and a '.join(kinds)}", where=subject)
    kind = entry_format.classify(level.name, raw)
    expected = matching[0].kind if matching else EntryKind.ILLEGAL if valid else EntryKind.NONE
    require(kind is expected, f"{told} is a {kind.value}, its patterns say {expected.value}", where=subject)
    if expected is EntryKind.ILLEGAL:
        require(_refused(subject, level, raw), f"{told} is of no form, but is not refused", where=subject)


@checks.add(Scope.FORMAT, SOUND)
def every_reserved_encoding_is_refused(subject: Subject) -> None:
    """An entry with a reserved bit set, or that breaks a rule of its form, is refused."""
    mode = subject.target.mode
    for level, form in _forms(mode):
        legal = legal_entries(mode.format, level.name, form)
        require(legal, f"no entry has the form of {_name(form, level)} without breaking its rules", where=subject)
        for raw in legal:
            for bit in _bits(form.reserved_mask(mode.format.entry_bits)):
                wrong = raw | 1 << bit
                if mode.format.recognize(level.name, wrong) is form:  # else the bit belongs to another form
                    require(_refused(subject, level, wrong), f"{wrong:#x}: bit {bit} is reserved", where=subject)
            for rule in form.rules:
                wrong = raw & ~rule.broken_by.mask | rule.broken_by.value
                if mode.format.recognize(level.name, wrong) is form:
                    require(_refused(subject, level, wrong), f"{wrong:#x} breaks: {rule.text}", where=subject)


def _refused(subject: Subject, level: Level, raw: int) -> bool:
    try:
        subject.target.decode(level.name, raw)
    except EncodingError:
        return True
    return False
