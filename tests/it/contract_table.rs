//! `docs/contract.md` is true to the sources: every law has its row, and every test it names is there.

use std::{fs, path::Path};

const TABLE: &str = include_str!("../../docs/contract.md");

struct Row {
    law: &'static str,
    shown_by: &'static str,
}

#[test]
fn every_law_has_one_row_in_its_order() {
    let laws: Vec<_> = rows().map(|row| row.law.to_owned()).collect();
    let expected: Vec<_> = (1..=55).map(|number| format!("C{number}")).collect();
    assert_eq!(laws, expected);
}

#[test]
fn every_test_that_the_table_names_exists() {
    let missing: Vec<_> = rows()
        .flat_map(|row| named(row.shown_by).map(move |test| (row.law, test)))
        .filter(|(_, test)| !exists(test))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_row_without_a_test_says_that_its_law_is_not_built_yet() {
    for Row { law, shown_by } in rows() {
        assert!(named(shown_by).next().is_some() || shown_by.contains("not built yet"), "{law}");
    }
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().filter(|line| line.starts_with("| C")).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [law, _, shown_by] = cells[..] else { panic!("not three cells: {line}") };
        Row { law, shown_by }
    })
}

/// What stands between backticks.
fn named(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split('`').skip(1).step_by(2)
}

fn exists(test: &str) -> bool {
    let (folder, path) = match test.split_once(": ") {
        Some(("src", path)) => ("src", path),
        Some(("stacks", path)) => ("tests/stacks/tests/it", path),
        Some(("fleet", path)) => ("tests/fleet/tests/it", path),
        Some(_) => return false,
        None if test.starts_with("allocations::") => ("tests", test),
        None => ("tests/it", test),
    };
    let mut modules: Vec<_> = path.split("::").collect();
    let Some(name) = modules.pop() else { return false };
    // The last modules may stand in the file of an earlier one.
    (1..=modules.len()).rev().any(|in_path| {
        let (path, inline) = modules.split_at(in_path);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(path.join("/")).with_extension("rs");
        let source = fs::read_to_string(file).unwrap_or_default();
        let body = inline.iter().try_fold(source.as_str(), |source, module| within(source, module));
        body.is_some_and(|body| has_test(body, name))
    })
}

/// What stands in an inline module, be it written out or made by a macro.
fn within<'a>(source: &'a str, module: &str) -> Option<&'a str> {
    let heads = [format!("mod {module} {{\n"), format!("! {{ {module}:\n")];
    let (_, body) = heads.iter().find_map(|head| source.split_once(head.as_str()))?;
    body.split("\n}").next()
}

/// A function under a test attribute, or an entry of a macro that makes one of each.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let (function, entry, alone) = (format!("fn {name}("), format!("{name} => "), format!("{name},"));
    lines.iter().enumerate().any(|(at, line)| {
        let is_function = line.trim_start_matches("async ").starts_with(&function);
        let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        line.starts_with(&entry) || *line == alone || is_function && attributes.any(|line| line.contains("test"))
    })
}
