//! Two runs side by side.

use crate::figures::{Figures, aligned, times};

/// A change below this is what two runs of the same program differ by.
const NOISE: f64 = 0.05;

/// Both runs' figures, and by how much they differ.
///
/// A figure beside a yardstick is compared by its ratio: the machine may have been slower that day, but not to one of two
/// programs that take turns. A figure alone (a size, a count, memory) is compared as it is.
pub(crate) fn report(earlier: &Figures, now: &Figures) -> String {
    let mut rows = vec![["figure", "then", "now", "change"].map(str::to_owned)];
    for figure in &now.figures {
        let Some(before) = earlier.get(&figure.name) else {
            let shown = figure.unit.show(figure.value);
            rows.push([figure.name.clone(), String::new(), shown, "new".to_owned()]);
            continue;
        };
        let (then, now, texts) = match (before.ratio(), figure.ratio()) {
            (Some(then), Some(now)) => (then, now, [times(then), times(now)]),
            _ => (
                before.value,
                figure.value,
                [
                    before.unit.show(before.value),
                    figure.unit.show(figure.value),
                ],
            ),
        };
        let [then_text, now_text] = texts;
        rows.push([figure.name.clone(), then_text, now_text, change(then, now)]);
    }
    for gone in earlier
        .figures
        .iter()
        .filter(|it| now.get(&it.name).is_none())
    {
        let shown = gone.unit.show(gone.value);
        rows.push([gone.name.clone(), shown, String::new(), "gone".to_owned()]);
    }
    format!(
        "then: {}\nnow:  {}\n\n{}",
        earlier.machine.line(),
        now.machine.line(),
        aligned(&rows)
    )
}

fn change(then: f64, now: f64) -> String {
    if then.total_cmp(&now).is_eq() {
        return "none".to_owned();
    }
    let change = now / then - 1.0;
    let noise = if change.abs() < NOISE { " (noise)" } else { "" };
    format!("{:+.0} %{noise}", change * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Figure, Unit};

    fn run(figures: impl IntoIterator<Item = Figure>) -> Figures {
        Figures {
            figures: figures.into_iter().collect(),
            ..Figures::default()
        }
    }

    #[test]
    fn ratios_are_compared_where_there_are_any() {
        let time =
            |ours, hello| Figure::new("time", Unit::Milliseconds, ours).beside("hello", hello);
        let size = |bytes| Figure::new("size", Unit::KibiBytes, bytes);
        let gone = Figure::new("gone", Unit::Count, 1.0);
        let new = Figure::new("new", Unit::Count, 2.0);
        let then = run([time(6.0, 2.0), size(1024.0), gone]);
        // Twice as slow a machine, and the program better by a third.
        let now = run([time(8.0, 4.0), size(1024.0), new]);
        let report = report(&then, &now);
        let table = report.split("\n\n").nth(1).unwrap();
        let expected = "\
| figure |    then |     now | change |
|--------|--------:|--------:|-------:|
| time   |   3.00x |   2.00x |  -33 % |
| size   | 1.0 MiB | 1.0 MiB |   none |
| new    |         |       2 |    new |
| gone   |       1 |         |   gone |
";
        assert_eq!(table, expected);
    }

    #[test]
    fn a_small_change_is_called_noise() {
        assert_eq!(change(100.0, 103.0), "+3 % (noise)");
    }
}
