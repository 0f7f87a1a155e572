//! What a starter says about itself: its README and its Makefile.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::list::{Hole, Stage};

/// The starter's front door.
pub const MAKEFILE: &str = r#"# The front door; the README says more. HOLE=name or HOLE=3 chooses a hole, otherwise it is the next.

.PHONY: check hint solution next

# The tool and the checks compile into this folder, even where CARGO_TARGET_DIR is set for all.
STARTER = CARGO_TARGET_DIR="$(CURDIR)/target/tool" CARGO_BUILD_BUILD_DIR="$(CURDIR)/target" \
	cargo run --quiet --manifest-path .starter/course/tests/starter/Cargo.toml --

# 101 is cargo's own: the tool itself was not compiled.
OR_SAY = || { code=$$?; test $$code != 101 || echo "Has this starter left its kit? Without internet, it works \
only below the folder of the kit, which has crates/: move it back." >&2; exit $$code; }

check:
	@test -d target || echo "The first check compiles all that the stage needs. It takes a few minutes."
	@$(STARTER) check $(HOLE) $(OR_SAY)

# Again for more: the task, comments, a skeleton, the body.
hint:
	@$(STARTER) hint $(HOLE) $(OR_SAY)

# Once it is solved: your body and the reference's.
solution:
	@$(STARTER) solution $(HOLE) $(OR_SAY)

# The next stage, once all is solved, with what you wrote. OUT=FOLDER says where. ANYWAY=1 goes on with
# the reference in the place of what is missing.
next:
	@$(STARTER) next "$(OUT)" "$(ANYWAY)" $(OR_SAY)
"#;

/// Returns the README of a starter. The stages before have the bodies that were carried along.
pub fn readme(stage: &Stage, holes: &[&Hole], carried: &[(Hole, Vec<String>)]) -> String {
    let number = stage.number;
    let subject = stage.subject();
    let minutes: u32 = holes.iter().map(|hole| hole.minutes).sum();
    let count = match holes.len() {
        1 => "One function is empty".to_owned(),
        count => format!("{count} functions are empty"),
    };
    let yours: Vec<&str> = carried.iter().map(|(hole, _)| hole.name.as_str()).collect();
    let yours = match yours.is_empty() {
        true => String::new(),
        false => format!(", and with yours: {}", yours.join(", ")),
    };
    let before = match number {
        1 => String::new(),
        2 => format!("Stage 1 is whole, with the reference's functions{yours}. "),
        _ => {
            format!("Stages 1 to {} are whole, with the reference's functions{yours}. ", number - 1)
        }
    };
    let mut text = format!("# Stage {number}: {subject}\n\n");
    let (them, they_are) = if holes.len() == 1 { ("it", "it is") } else { ("them", "they are") };
    // In the first stages it is the same section for all, and a column would only repeat it.
    let sections: BTreeSet<&str> = holes.iter().map(|hole| hole.section.as_str()).collect();
    let (is_one, first) = (sections.len() == 1, sections.first().copied().unwrap_or_default());
    let section = if is_one { format!(", *{first}*,") } else { String::new() };
    let _ = write!(
        text,
        "{before}{count} in stage {number}. You write {them}; [the chapter]({}){section} says what {they_are} for.\n\n",
        stage.chapter,
    );
    let (title, line) = if is_one { ("", "") } else { (" section |", "---|") };
    let _ = write!(
        text,
        "| | function | what it does | file | minutes |{title}\n|---|---|---|---|---|{line}\n"
    );
    for (number, hole) in (1..).zip(holes) {
        let paths: Vec<String> = hole.paths().map(|path| format!("`{path}`")).collect();
        let section = if is_one { String::new() } else { format!(" {} |", hole.section) };
        let _ = writeln!(
            text,
            "| {number} | {} ({}) | {} | [{}](src/{}) | {} |{section}",
            hole.name,
            paths.join(", "),
            hole.task,
            hole.file,
            hole.file,
            hole.minutes,
        );
    }
    let _ = write!(
        text,
        "
The minutes are for somebody who knows Rust and has read the chapter: {minutes} in all. Twice as many
are usual.

## How to work

```sh
make check
```

It begins with **0 of {count}; this is where you begin.** Nothing is broken: an empty function panics, and
the tests that need it are red until you write it. (Until all is solved, `make` ends with a line of its
own: `Error 1`.) In any order, write code in place of a `todo!`, or below the comment where there is none,
and run `make check` again. Each function is judged alone: your body is put into the whole program, and
the tests that speak of it run. So one that is right is `[x]` even while the others are empty.

`make check` shows one red test at a time, the most telling first.

| | |
|---|---|
| `make check HOLE=1` | only this one, by its number or its name; `hint` and `solution` take a `HOLE=`, too |
| `make hint` | the task; again for more: comments, a skeleton, the body |
| `make solution` | your body and the reference's, once it is solved |
| `make next` | once all is solved: the next starter, with what you wrote, in a folder beside this one, or in `OUT=FOLDER` |
| `cargo test --test {module}` | all tests of the stage at once: a wall of red at first |
| `git diff` | what you have written |

Functions and types of your own are welcome inside a function. Outside of it they work as well; then
the check uses your whole files and says so. But `make next` takes only the functions of the table along:
move what they need inside of them. When all is solved, a check names what would stay behind, and tries
your own files once as they are. The tests that count are the original ones.

The compiler is quiet here about what is unused, since most of it waits for you. Without `make`, type
what the Makefile has. What is compiled lies in `target/`, which grows to a gigabyte and may be deleted.
A starter from a kit stays below the kit's folder, since its crates are there.
",
        count = holes.len(),
        module = stage.module,
    );
    text += &in_a_swarm(holes);
    text += &partners(stage);
    text
}

/// What shows how a swarm fares with a function: the simulator decides with it.
fn in_a_swarm(holes: &[&Hole]) -> String {
    let shown: Vec<(&Hole, &str)> =
        holes.iter().filter_map(|hole| Some((*hole, hole.swarm.as_deref()?))).collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut text = "
## In a swarm

The tests know one peer's decision. What a swarm makes of it, the simulator shows: its peers decide with
your function, once it is right. Open the page in a browser, then change a rule on purpose, and compare.

```sh
"
    .to_owned();
    for (hole, experiment) in shown {
        let command = format!("cargo run -- simulate {experiment} --svg {experiment}.svg");
        let _ = writeln!(text, "{command:<66} # {}", hole.name);
    }
    text + "```\n"
}

/// What an installed `piecemeal` is good for here.
fn partners(stage: &Stage) -> String {
    format!(
        "
## Against real bytes

`cargo run -- --help` lists what your program can do: the commands up to stage {number}. If `piecemeal`
is installed, it is a partner to try them on. Build first, or the first check waits for the
compiler:

```sh
cargo build
piecemeal lab      # a swarm on this machine, and lab/ with the files that the chapters use
piecemeal grade --stage {number} -- cargo run --quiet --      # a judge with peers that misbehave
```

The chapters are those of the whole project. They speak of commands of later stages, such as `explain`:
these are in the installed program. They also name targets such as `make book`: these are in the
project's Makefile. Here, `make next` takes the place of `make starter`.
",
        number = stage.number
    )
}
