//! A Rust file taken apart just far enough for the rules: its code without comments and literals, and its string literals.

/// A Rust file.
pub(crate) struct Source {
    /// Path from the root of the checkout.
    pub(crate) path: String,
    /// The code line by line; a comment is gone, a string literal is `""`.
    pub(crate) code: Vec<String>,
    /// The string literals in the order of the file.
    pub(crate) literals: Vec<Literal>,
    /// How many lines at the top are not tests.
    product_lines: usize,
}

/// A string literal as it is written, escapes and all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    /// The line it starts on, counted from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Source {
    /// Takes a file apart. It must be Rust that compiles: the scanner tells literals from comments, and no more.
    pub(crate) fn scan(path: &str, text: &str) -> Self {
        let mut scanner = Scanner {
            rest: text,
            code: String::new(),
            literals: Vec::new(),
        };
        while !scanner.rest.is_empty() {
            scanner.step();
        }
        let code: Vec<_> = scanner.code.split('\n').map(str::to_owned).collect();
        let product_lines = if path.starts_with("tests/")
            || path.contains("/tests/")
            || path.ends_with("/tests.rs")
        {
            0
        } else {
            // The house keeps tests last in a file. A module of tests in a file of its own may be declared anywhere.
            let here = test_modules(&code).find(|(_, name)| name.is_none());
            here.map_or(code.len(), |(line, _)| line - 1)
        };
        Self {
            path: path.to_owned(),
            code,
            literals: scanner.literals,
            product_lines,
        }
    }

    /// The files of the modules that this file declares as tests, without their ending: `a/b` stands for `a/b.rs` and for
    /// all below `a/b/`.
    pub(crate) fn test_modules(&self) -> impl Iterator<Item = String> {
        let path = self.path.trim_end_matches(".rs");
        let folder = ["/lib", "/main", "/mod"]
            .iter()
            .find_map(|root| path.strip_suffix(root))
            .unwrap_or(path);
        test_modules(&self.code).filter_map(move |(_, name)| Some(format!("{folder}/{}", name?)))
    }

    /// Makes all of the file tests.
    pub(crate) fn is_all_tests(&mut self) {
        self.product_lines = 0;
    }

    /// Whether a line, counted from 1, belongs to tests.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        line > self.product_lines
    }

    /// The lines of code with their numbers, counted from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .iter()
            .enumerate()
            .map(|(index, code)| (index + 1, code.as_str()))
    }

    /// The name of the crate's folder for `crates/NAME/…`.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }
}

/// The lines, counted from 1, of the attributes that make a module a test, with the module's name if it has its own file.
fn test_modules(code: &[String]) -> impl Iterator<Item = (usize, Option<&str>)> {
    code.iter().enumerate().filter_map(|(index, attribute)| {
        if attribute.trim() != "#[cfg(test)]" {
            return None;
        }
        let mut item = code.iter().skip(index + 1).map(|line| line.trim());
        let module = item.find(|line| !line.starts_with("#["))?;
        let name = module.split_once("mod ")?.1;
        Some((index + 1, name.strip_suffix(';')))
    })
}

/// The words of a text of code, each with its place in bytes.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let word = |character: char| character.is_alphanumeric() || character == '_';
    text.split(move |character| !word(character))
        .filter(|part| !part.is_empty())
        .map(|part| (part.as_ptr().addr() - text.as_ptr().addr(), part))
}

struct Scanner<'a> {
    rest: &'a str,
    code: String,
    literals: Vec<Literal>,
}

impl Scanner<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(block_comment(self.rest));
        } else if let Some((quote, end)) = raw_string(self.rest).filter(|_| !self.after_word()) {
            self.literal(quote, &end);
        } else if self.rest.starts_with('"') {
            self.literal(1, "\"");
        } else if let Some(length) = character(self.rest) {
            self.skip(length);
        } else {
            let length = self.rest.chars().next().map_or(1, char::len_utf8);
            self.code.push_str(&self.rest[..length]);
            self.rest = &self.rest[length..];
        }
    }

    /// Leaves text out of the code, but not its line breaks.
    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.code
            .extend(skipped.chars().filter(|character| *character == '\n'));
        self.rest = rest;
    }

    /// Takes a literal whose opening quote has `open` bytes and which ends with `close`.
    fn literal(&mut self, open: usize, close: &str) {
        let body = &self.rest[open..];
        let raw = close != "\"" || open > 1;
        let mut length = 0;
        while length < body.len() && !body[length..].starts_with(close) {
            let escaped = !raw && body[length..].starts_with('\\');
            let characters = if escaped { 2 } else { 1 };
            length += body[length..]
                .chars()
                .take(characters)
                .map(char::len_utf8)
                .sum::<usize>();
        }
        let line = self.code.matches('\n').count() + 1;
        self.literals.push(Literal {
            line,
            text: body[..length].to_owned(),
        });
        self.code.push_str("\"\"");
        self.skip((open + length + close.len()).min(self.rest.len()));
    }

    fn after_word(&self) -> bool {
        self.code
            .ends_with(|character: char| character.is_alphanumeric() || character == '_')
    }
}

/// The length of a block comment; block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut length = 0;
    loop {
        let rest = &text[length..];
        if rest.starts_with("/*") {
            depth += 1;
            length += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            length += 2;
            if depth == 0 {
                return length;
            }
        } else if let Some(character) = rest.chars().next() {
            length += character.len_utf8();
        } else {
            return length;
        }
    }
}

/// The length of a raw string's opening quote, and its closing one.
fn raw_string(text: &str) -> Option<(usize, String)> {
    let marks = text
        .strip_prefix("br")
        .or_else(|| text.strip_prefix("cr"))
        .or_else(|| text.strip_prefix('r'))?;
    let hashes = marks.len() - marks.trim_start_matches('#').len();
    marks[hashes..].starts_with('"').then(|| {
        (
            text.len() - marks.len() + hashes + 1,
            format!("\"{}", "#".repeat(hashes)),
        )
    })
}

/// The length of a character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let first = escape.chars().next()?.len_utf8();
        return Some(2 + first + escape[first..].find('\'')? + 1);
    }
    let first = body.chars().next()?.len_utf8();
    body[first..].starts_with('\'').then_some(1 + first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_leave_the_code_and_lines_stay() {
        let text = r##"fn one() { /* a /* nested "quote */
*/ two("a \" b // no comment", '"', '\'', b"bytes"); } // "three"
let raw = r#"say "four" "#; let life: &'static str = br"\"; r#type;
/// `doc "five"`
fn last() {}"##;
        let source = Source::scan("crates/one/src/lib.rs", text);
        let expected = [
            "fn one() { ",
            " two(\"\", , , b\"\"); } ",
            "let raw = \"\"; let life: &'static str = \"\"; r#type;",
            "",
            "fn last() {}",
        ];
        assert_eq!(source.code, expected);
        let literals: Vec<_> = source
            .literals
            .iter()
            .map(|literal| (literal.line, literal.text.as_str()))
            .collect();
        assert_eq!(
            literals,
            [
                (2, r#"a \" b // no comment"#),
                (2, "bytes"),
                (3, r#"say "four" "#),
                (3, "\\")
            ]
        );
    }

    #[test]
    fn a_literal_of_several_lines_starts_where_it_starts() {
        let source = Source::scan("a.rs", "let a = \"one\n two\";\nlet b = \"three\";");
        let lines: Vec<_> = source.literals.iter().map(|literal| literal.line).collect();
        assert_eq!(lines, [1, 3]);
        assert_eq!(source.code.len(), 3);
    }

    #[test]
    fn the_test_module_and_test_files_are_tests() {
        let source = Source::scan(
            "crates/one/src/lib.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n",
        );
        assert!(!source.is_test(1));
        assert!(source.is_test(3));
        assert!(
            Source::scan("a.rs", "#[cfg(test)]\n#[expect(x)]\nmod tests {\n").is_test(3),
            "an attribute stands between"
        );
        assert!(Source::scan("tests/e2e/main.rs", "fn a() {}").is_test(1));
        assert!(
            !Source::scan("crates/one/src/lib.rs", "#[cfg(test)]\nuse a;\nfn a() {}").is_test(3)
        );
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_makes_that_file_tests_and_no_line_here() {
        let text = "#[cfg(test)]\nmod model;\nmod product;\nfn a() {}";
        for (path, module) in [
            ("crates/one/src/lib.rs", "crates/one/src/model"),
            ("crates/one/src/two.rs", "crates/one/src/two/model"),
            ("crates/one/src/two/mod.rs", "crates/one/src/two/model"),
        ] {
            let source = Source::scan(path, text);
            assert!(!source.is_test(4));
            assert_eq!(source.test_modules().collect::<Vec<_>>(), [module]);
        }
    }

    #[test]
    fn a_word_ends_where_its_letters_end() {
        let found: Vec<_> = words("a.to_do(é, &b1)").collect();
        assert_eq!(found, [(0, "a"), (2, "to_do"), (8, "é"), (13, "b1")]);
    }
}
