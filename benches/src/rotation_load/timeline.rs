//! The picture of one rotation: every connect by its end and by how long it took, under each policy.

use std::fmt::Write as _;
use std::time::Duration;

use load::{Connect, Policy, Run, Turn, met_a_gap};

use super::mark::Mark;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 936.0;
/// Where the first panel's plot begins, how high one is, and how far the next one is below.
const TOP: f64 = 164.0;
const PLOT: f64 = 180.0;
const PITCH: f64 = 246.0;
/// What is shown before and after the gap, unless it belongs to another rotation's.
const AROUND: Duration = Duration::from_millis(400);

const STYLE: &str = r#"  <style>
    svg { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --shade: #f3eee4;
      --current: #0a5fc4; --pending: #b4470a; --previous: #1a7f37; --failed: #cf222e;
      font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 13px; }
    @media (prefers-color-scheme: dark) {
      svg { --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1; --line: #30363d; --shade: #241d12;
        --current: #6cb0ff; --pending: #f0883e; --previous: #4ac26b; --failed: #ff7b72; }
    }
    text { fill: var(--ink); }
    .title { font-size: 18px; font-weight: 600; } .name { font-size: 14px; font-weight: 600; }
    .soft { fill: var(--soft); }
    .grid { stroke: var(--line); } .edge { stroke: var(--soft); stroke-dasharray: 4 3; } .gap { fill: var(--shade); }
    .current { fill: var(--current); } .pending { fill: var(--pending); } .previous { fill: var(--previous); }
    .refused { fill: none; stroke: var(--ink); } .failed { fill: none; stroke: var(--failed); stroke-width: 1.6; }
    .middle { text-anchor: middle; } .end { text-anchor: end; }
  </style>
"#;

/// What is shown of a run.
struct Panel<'a> {
    run: &'a Run,
    turn: &'a Turn,
    connects: Vec<&'a Connect>,
}

/// From times to places.
struct Scale {
    /// In seconds from the commit.
    from: f64,
    to: f64,
    /// In milliseconds.
    highest: f64,
}

/// Draws the middle rotation of each run, one panel below the other; `None` without a rotation.
pub(crate) fn draw(runs: &[Run]) -> Option<String> {
    let panels: Option<Vec<_>> = runs.iter().map(Panel::of).collect();
    let panels = panels.filter(|panels| !panels.is_empty())?;
    let scale = Scale::of(&panels);
    let number = u32::try_from(panels.len()).ok()?;
    let bottom = TOP + PITCH * f64::from(number - 1) + PLOT;
    let height = bottom + 62.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"title description\">\n  <title id=\"title\">{TITLE}</title>\n  \
         <desc id=\"description\">{}</desc>\n{STYLE}  \
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"12\" style=\"fill: var(--paper)\"/>\n",
        panels
            .iter()
            .map(Panel::name)
            .collect::<Vec<_>>()
            .join(". ")
    );
    head(&mut svg, &panels);
    let mut top = TOP;
    for panel in &panels {
        panel.draw(&mut svg, &scale, top);
        top += PITCH;
    }
    foot(&mut svg, &scale, bottom);
    svg.push_str("</svg>\n");
    Some(svg)
}

const TITLE: &str = "Connects through one rotation, single user";

impl<'a> Panel<'a> {
    fn of(run: &'a Run) -> Option<Self> {
        let middle = run.turns.len() / 2;
        let turn = run.turns.get(middle)?;
        let before = middle
            .checked_sub(1)
            .and_then(|number| run.turns.get(number));
        let from = turn.committed.saturating_sub(AROUND);
        let from = before.map_or(from, |before| from.max(before.moved));
        let to = turn.moved + AROUND;
        let to = run
            .turns
            .get(middle + 1)
            .map_or(to, |after| to.min(after.committed));
        let connects = run.connects.iter();
        Some(Self {
            run,
            turn,
            connects: connects
                .filter(|connect| {
                    let is_near = connect.ended >= from && connect.ended <= to;
                    is_near || met_a_gap(std::slice::from_ref(turn), connect)
                })
                .collect(),
        })
    }

    fn name(&self) -> String {
        let turn = std::slice::from_ref(self.turn);
        let met = self.connects.iter();
        let met: Vec<_> = met.filter(|connect| met_a_gap(turn, connect)).collect();
        let failed = met.iter().filter(|connect| connect.outcome.is_err());
        let policy = match self.run.plan.policy {
            Policy::Session => "aurora-session",
            Policy::RefreshOnce => "read AWSCURRENT once more after a refusal, then fail",
        };
        format!(
            "{policy}: {} of {} connects that meet the gap fail",
            failed.count(),
            met.len()
        )
    }

    /// Seconds from the commit.
    fn since_commit(&self, moment: Duration) -> f64 {
        moment.as_secs_f64() - self.turn.committed.as_secs_f64()
    }

    fn draw(&self, svg: &mut String, scale: &Scale, top: f64) {
        let name_at = top - 12.0;
        let (begin, end) = (scale.x(0.0), scale.x(self.turn.gap().as_secs_f64()));
        let width = end - begin;
        put(
            svg,
            format_args!(
                "<text class=\"name\" x=\"{LEFT}\" y=\"{name_at:.0}\">{}</text>\n  \
                 <rect class=\"gap\" x=\"{begin:.1}\" y=\"{top:.0}\" width=\"{width:.1}\" height=\"{PLOT}\"/>\
                 <text class=\"soft end\" x=\"{:.1}\" y=\"{:.0}\">gap: {:.2} s</text>",
                self.name(),
                end - 8.0,
                top + 18.0,
                self.turn.gap().as_secs_f64()
            ),
        );
        for value in steps(0.0, scale.highest, 4) {
            let y = scale.y(value, top);
            put(
                svg,
                format_args!(
                    "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text class=\"soft end\" x=\"{:.0}\" \
                     y=\"{:.1}\">{value:.0}</text>",
                    LEFT - 8.0,
                    y + 4.0
                ),
            );
        }
        for edge in [begin, end] {
            let bottom = top + PLOT;
            put(
                svg,
                format_args!("<path class=\"edge\" d=\"M{edge:.1} {top:.0}V{bottom:.0}\"/>"),
            );
        }
        let middle = top + PLOT / 2.0;
        put(
            svg,
            format_args!(
                "<text class=\"soft middle\" transform=\"translate(24 {middle:.0}) rotate(-90)\">connect, ms</text>"
            ),
        );
        for mark in Mark::ALL {
            let path: String = self
                .connects
                .iter()
                .filter(|connect| mark.is_of(&self.run.turns, connect))
                .map(|connect| {
                    let x = scale.x(self.since_commit(connect.ended));
                    mark.path(x, scale.y(connect.took().as_secs_f64() * 1000.0, top))
                })
                .collect();
            if !path.is_empty() {
                let class = mark.class();
                put(svg, format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
            }
        }
    }
}

fn head(svg: &mut String, panels: &[Panel<'_>]) {
    let Some(first) = panels.first() else { return };
    let plan = &first.run.plan;
    put(
        svg,
        format_args!(
            "<text class=\"title\" x=\"24\" y=\"38\">{TITLE}</text>\n  <text class=\"soft\" x=\"24\" y=\"62\">{} connectors \
             without pause. One mark for each connect, by its end and by how long it took; the label is that of the</text>\n  \
             <text class=\"soft\" x=\"24\" y=\"80\">version that was accepted, at that moment. Shaded: the gap, from the \
             commit of the new password to the move of AWSCURRENT.</text>",
            plan.connectors
        ),
    );
    let is_there = |mark: Mark| {
        panels.iter().any(|panel| {
            let mut connects = panel.connects.iter();
            connects.any(|connect| mark.is_of(&panel.run.turns, connect))
        })
    };
    let mut x = 30.0;
    for mark in Mark::ALL.into_iter().filter(|mark| is_there(*mark)) {
        put(
            svg,
            format_args!(
                "<path class=\"{}\" d=\"{}\"/><text x=\"{:.0}\" y=\"112\">{}</text>",
                mark.class(),
                mark.path(x, 108.0),
                x + 12.0,
                mark.meaning()
            ),
        );
        // Enough for a character of this size.
        x += 48.0 + 7.4 * f64::from(u32::try_from(mark.meaning().len()).unwrap_or_default());
    }
}

fn foot(svg: &mut String, scale: &Scale, bottom: f64) {
    for value in steps(scale.from, scale.to, 12) {
        let x = scale.x(value);
        put(
            svg,
            format_args!(
                "<path class=\"grid\" d=\"M{x:.1} {bottom:.0}v5\"/><text class=\"soft middle\" x=\"{x:.1}\" \
                 y=\"{:.0}\">{value:.1}</text>",
                bottom + 20.0
            ),
        );
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    put(
        svg,
        format_args!(
            "<text class=\"soft middle\" x=\"{middle:.0}\" y=\"{:.0}\">seconds since the commit of the new password</text>",
            bottom + 44.0
        ),
    );
}

impl Scale {
    fn of(panels: &[Panel<'_>]) -> Self {
        let mut scale = Self {
            from: 0.0,
            to: 0.0,
            highest: 1.0,
        };
        for panel in panels {
            scale.to = scale.to.max(panel.turn.gap().as_secs_f64());
            for connect in &panel.connects {
                let x = panel.since_commit(connect.ended);
                scale.from = scale.from.min(x);
                scale.to = scale.to.max(x);
                let took = connect.took().as_secs_f64() * 1000.0;
                scale.highest = scale.highest.max(took * 1.15);
            }
        }
        scale
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (seconds - self.from) / (self.to - self.from) * (RIGHT - LEFT)
    }

    fn y(&self, milliseconds: f64, top: f64) -> f64 {
        top + PLOT - milliseconds / self.highest * PLOT
    }
}

/// Round values from `from` to `to`, about so many.
fn steps(from: f64, to: f64, wanted: u32) -> Vec<f64> {
    let rough = (to - from) / f64::from(wanted);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let first = (from / step).ceil();
    (0..=2 * wanted)
        // Plus zero, because minus zero would be shown with its sign.
        .map(|number| (first + f64::from(number)) * step + 0.0)
        .take_while(|value| *value <= to)
        .collect()
}

fn put(svg: &mut String, element: std::fmt::Arguments<'_>) {
    // A text takes everything.
    let _ = writeln!(svg, "  {element}");
}

#[cfg(test)]
mod tests {
    use load::{Plan, Strategy};

    use super::*;

    fn moment(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn connect(started: u64, outcome: Result<&str, &'static str>, refused: u32) -> Connect {
        Connect {
            started: moment(started),
            ended: moment(started + 40),
            outcome: outcome.map(str::to_owned),
            refused,
        }
    }

    fn run(policy: Policy, connects: Vec<Connect>) -> Run {
        Run {
            plan: Plan {
                strategy: Strategy::SingleUser,
                policy,
                connectors: 32,
                rotations: 1,
                pause: moment(1000),
            },
            connects,
            turns: vec![Turn {
                version_id: "v1".to_owned(),
                committed: moment(1000),
                moved: moment(2000),
                refused: 1,
                reads: 2,
            }],
            first_failure: None,
            elapsed: moment(3000),
        }
    }

    #[test]
    fn every_connect_has_its_mark_in_its_panel() {
        let svg = draw(&[
            run(
                Policy::Session,
                vec![
                    connect(100, Ok("v0"), 0),
                    connect(900, Ok("v0"), 0),
                    connect(990, Ok("v1"), 1),
                    connect(1500, Ok("v1"), 0),
                    connect(2300, Ok("v1"), 0),
                ],
            ),
            run(
                Policy::RefreshOnce,
                vec![
                    connect(900, Ok("v0"), 0),
                    connect(1500, Err("LOGIN_REFUSED"), 2),
                ],
            ),
        ])
        .unwrap();
        let drawn = |class: &str| -> Vec<usize> {
            let start = format!("<path class=\"{class}\" d=\"");
            let paths = svg.split(&start).skip(1);
            let paths = paths.filter_map(|rest| rest.split('"').next());
            // The first is the legend's.
            paths
                .skip(1)
                .map(|path| path.matches('M').count())
                .collect()
        };
        assert_eq!(drawn("current"), [2, 1], "what is far away is left out");
        assert_eq!(drawn("pending"), [2]);
        assert_eq!(drawn("failed"), [1]);
        assert_eq!(drawn("refused"), [1]);
        assert!(drawn("previous").is_empty() && !svg.contains("AWSPREVIOUS"));
        assert!(svg.contains("aurora-session: 0 of 2 connects that meet the gap fail"));
        assert!(svg.contains(": 1 of 1 connects that meet the gap fail"));
    }

    #[test]
    fn without_a_rotation_there_is_no_picture() {
        assert!(draw(&[]).is_none());
        let mut run = run(Policy::Session, Vec::new());
        run.turns.clear();
        assert!(draw(&[run]).is_none());
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(steps(0.0, 170.0, 4), [0.0, 50.0, 100.0, 150.0]);
        let ticks = steps(-0.4, 1.45, 12);
        let shown: Vec<_> = ticks.iter().map(|tick| format!("{tick:.1}")).collect();
        assert_eq!(shown.join(" "), "-0.4 -0.2 0.0 0.2 0.4 0.6 0.8 1.0 1.2 1.4");
    }
}
