//! Numbers of telephones: international ones, and those that only a telephone number looks like.

use super::{before, goes_on_from, is_digit, is_token, is_word, some_digits};

/// What a telephone number may have, by E.164, and the fewest that a subscriber has.
const MAX_DIGITS: usize = 15;
const MIN_DIGITS: usize = 8;

/// Digits in a row, and all digits up to their end.
struct Group {
    start: usize,
    end: usize,
    total: usize,
}

/// The number with its `+` at `at`.
pub(super) fn at_plus(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let previous = before(text, at);
    if goes_on_from(text, at) || previous == Some(b'+') {
        return None;
    }
    let begin = at + 1 + usize::from(matches!(text.get(at + 1), Some(b' ' | b'(')));
    if !matches!(text.get(begin), Some(b'1'..=b'9')) {
        return None;
    }
    let groups = groups(text, begin, b" -./()");
    longest(text, &groups, MIN_DIGITS..=MAX_DIGITS).map(|end| (at, end))
}

/// The number whose first digits are at `at`, where a run of digits begins.
pub(super) fn at_digit(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let previous = before(text, at);
    let is_part = matches!(previous, Some(b'-' | b'.' | b'/' | b','))
        && at.checked_sub(1).is_some_and(|at| goes_on_from(text, at));
    // What stands behind a `+` was looked at from there.
    if goes_on_from(text, at) || is_part || previous == Some(b'+') {
        return None;
    }
    let end = match text.get(at..)? {
        [b'0', b'0', b'1'..=b'9', ..] | [b'0', b'0', b' ' | b'-', b'1'..=b'9', ..] => {
            abroad(text, at)
        }
        [b'0', b'1'..=b'9', ..] => national(text, at, at),
        [b'1'..=b'9', ..] => north_american(text, at),
        _ => None,
    }?;
    Some((at, end))
}

/// The number whose area code is in the parenthesis at `at`.
pub(super) fn at_parenthesis(text: &[u8], at: usize) -> Option<(usize, usize)> {
    if goes_on_from(text, at) {
        return None;
    }
    let end = match text.get(at + 1..)? {
        [b'0', b'1'..=b'9', ..] => national(text, at + 1, at),
        [b'2'..=b'9', ..] => north_american(text, at),
        _ => None,
    }?;
    Some((at, end))
}

/// Groups of digits from `at` on, with at most two of these characters between two, up to one group more than a number has.
fn groups(text: &[u8], at: usize, between: &[u8]) -> Vec<Group> {
    let mut groups = Vec::new();
    let (mut start, mut total) = (at, 0);
    while total <= MAX_DIGITS {
        let length = some_digits(text, start, MAX_DIGITS + 3);
        if length == 0 {
            break;
        }
        let end = start + length;
        total += length;
        groups.push(Group { start, end, total });
        let rest = text.get(end..).unwrap_or_default().iter().take(3);
        let gap = rest.take_while(|byte| between.contains(byte)).count();
        if gap == 0 || gap > 2 {
            break;
        }
        start = end + gap;
    }
    groups
}

/// Where the longest number ends that has as many digits.
fn longest(
    text: &[u8],
    groups: &[Group],
    digits: std::ops::RangeInclusive<usize>,
) -> Option<usize> {
    let group = groups
        .iter()
        .rev()
        .find(|group| digits.contains(&group.total) && !is_word(text.get(group.end).copied()))?;
    Some(group.end)
}

/// Whether a longer number of another kind goes on here.
fn goes_on(text: &[u8], end: usize) -> bool {
    let next = text.get(end).copied();
    is_word(next)
        || (matches!(next, Some(b'-' | b'.' | b'/' | b','))
            && (is_digit(text.get(end + 1).copied()) || is_token(text, end + 1)))
}

/// `0049 …`: with a calling code, since many a number is filled up with zeros.
fn abroad(text: &[u8], at: usize) -> Option<usize> {
    let groups = groups(text, at, b" -./()");
    let end = longest(text, &groups, 2 + 9..=MAX_DIGITS)?;
    let number = text.get(at..end)?.iter().copied();
    let number: Vec<u8> = number.filter(u8::is_ascii_digit).skip(2).collect();
    let is_assigned = match number.as_slice() {
        [b'1', area, _, _, office, ..] => {
            number.len() == 11 && (b'2'..=b'9').contains(area) && (b'2'..=b'9').contains(office)
        }
        [first, second, ..] => !matches!(
            (first, second),
            (b'2', b'8') | (b'8', b'3' | b'9') | (b'1' | b'0', _)
        ),
        _ => false,
    };
    is_assigned.then_some(end)
}

/// `030 1234567`, `(0151) 12345678`, `020 7946 0958`, `01 42 68 53 00`: a zero, an area code and at least one gap.
fn national(text: &[u8], at: usize, begin: usize) -> Option<usize> {
    let all = groups(text, at, b" -./)");
    let [first, rest @ ..] = all.as_slice() else {
        return None;
    };
    let is_closed = begin == at || text.get(first.end) == Some(&b')');
    let lengths = |group: &Group| group.end - group.start;
    if !is_closed {
        return None;
    }
    if lengths(first) == 2 {
        let pairs = all.get(..5)?;
        let fifth = pairs.last()?.end;
        let gap = |group: &Group| text.get(group.end);
        let is_even = pairs.iter().all(|group| lengths(group) == 2)
            && pairs.iter().take(4).all(|group| gap(group) == gap(first))
            && matches!(gap(first), Some(b' ' | b'.' | b'-'));
        return (is_even && !goes_on(text, fifth)).then_some(fifth);
    }
    if !(3..=6).contains(&lengths(first)) {
        return None;
    }
    // Behind the area code a number is not written with points, and its parts are no single digits.
    let has_dot = |from: usize, to: usize| {
        let gap = text.get(from..to).unwrap_or_default();
        gap.contains(&b'.')
    };
    let mut last = first;
    let mut end = None;
    for group in rest {
        if lengths(group) < 2 || has_dot(last.end, group.start) {
            break;
        }
        if (9..=12).contains(&group.total) && !goes_on(text, group.end) {
            end = Some(group.end);
        }
        last = group;
    }
    end
}

/// `212-555-0123`, `(212) 555-0123`, `1 212 555 0123`: by the plan of North America, whose codes begin with 2 to 9.
fn north_american(text: &[u8], at: usize) -> Option<usize> {
    let mut place = at;
    if text.get(place) == Some(&b'1') && matches!(text.get(place + 1), Some(b' ' | b'-' | b'.')) {
        place += 2;
    }
    let is_open = text.get(place) == Some(&b'(');
    place += usize::from(is_open);
    let code = |place: usize| {
        matches!(text.get(place), Some(b'2'..=b'9')) && some_digits(text, place, 4) == 3
    };
    if !code(place) {
        return None;
    }
    place += 3;
    if is_open {
        if text.get(place) != Some(&b')') {
            return None;
        }
        place += 1 + usize::from(matches!(text.get(place + 1), Some(b' ' | b'-')));
    } else if matches!(text.get(place), Some(b' ' | b'-' | b'.')) {
        place += 1;
    } else {
        return None;
    }
    if !code(place) || !matches!(text.get(place + 3), Some(b' ' | b'-' | b'.')) {
        return None;
    }
    place += 4;
    let end = place + 4;
    (some_digits(text, place, 5) == 4 && !goes_on(text, end)).then_some(end)
}
