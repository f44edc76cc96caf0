//! A Rust file split into what the checks look at: code, comments, literals, functions, and which lines are tests.
//!
//! Not a parser. It knows just enough of the lexical grammar (nested comments, raw strings, lifetimes) for a word in
//! a comment or a string never to count as code.

/// A scanned Rust file. Lines are counted from 1.
pub(crate) struct Source {
    /// The text with comments and the insides of literals replaced by spaces, line by line.
    pub(crate) code: Vec<String>,
    pub(crate) comments: Vec<Piece>,
    pub(crate) literals: Vec<Piece>,
    pub(crate) functions: Vec<Function>,
    /// Per line: inside an item under `#[cfg(test)]`.
    test: Vec<bool>,
}

/// A comment or the inside of a string, with the line on which it begins.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A function with a body; `lines` counts from `fn` to its closing brace.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

impl Source {
    /// Scans a file. Text that is no Rust gives nonsense, never a panic.
    pub(crate) fn scan(text: &str) -> Source {
        let mut lexer = Lexer::new(text);
        while lexer.at < lexer.chars.len() {
            lexer.step();
        }
        let code: Vec<char> = lexer.code;
        let lines = code.iter().collect::<String>().lines().map(str::to_owned).collect();
        Source {
            code: lines,
            comments: lexer.comments,
            literals: lexer.literals,
            functions: functions(&code),
            test: tests(&code),
        }
    }

    /// True if the line belongs to an item that only tests compile.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        line.checked_sub(1).and_then(|n| self.test.get(n)).copied().unwrap_or(false)
    }

    /// The lines of code that contain the word, and not as the tail of a longer one.
    pub(crate) fn lines_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.code.iter().enumerate().filter(|(_, line)| contains_word(line, word)).map(|(n, _)| n + 1)
    }
}

/// `word` occurs in `text`, and what stands before it is not a part of the same name.
pub(crate) fn contains_word(text: &str, word: &str) -> bool {
    let begins_with_name = word.starts_with(is_name);
    text.match_indices(word).any(|(at, _)| !(begins_with_name && text[..at].ends_with(is_name)))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    code: Vec<char>,
    comments: Vec<Piece>,
    literals: Vec<Piece>,
}

impl Lexer {
    fn new(text: &str) -> Lexer {
        let chars: Vec<char> = text.chars().collect();
        let code = Vec::with_capacity(chars.len());
        Lexer { chars, at: 0, line: 1, code, comments: Vec::new(), literals: Vec::new() }
    }

    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    /// Takes one character into the code as it is.
    fn keep(&mut self) {
        let c = self.peek(0);
        self.line += usize::from(c == '\n');
        self.code.push(c);
        self.at += 1;
    }

    /// Takes one character and leaves a space in the code.
    fn blank(&mut self) -> char {
        let c = self.peek(0);
        self.line += usize::from(c == '\n');
        self.code.push(if c == '\n' { c } else { ' ' });
        self.at += 1;
        c
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.line_comment(),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.quote(),
            ('r', '"' | '#') if !self.code.last().is_some_and(|c| is_name(*c) && *c != 'b' && *c != 'c') => {
                self.raw_string();
            }
            _ => self.keep(),
        }
    }

    fn line_comment(&mut self) {
        let line = self.line;
        let mut text = String::new();
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            text.push(self.blank());
        }
        self.comments.push(Piece { line, text });
    }

    fn block_comment(&mut self) {
        let line = self.line;
        let mut text = String::new();
        let mut depth = 0_usize;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    text.push(self.blank());
                    continue;
                }
            }
            text.push(self.blank());
            text.push(self.blank());
            if depth == 0 {
                break;
            }
        }
        self.comments.push(Piece { line, text });
    }

    fn string(&mut self) {
        let line = self.line;
        let mut text = String::new();
        self.keep();
        while self.at < self.chars.len() && self.peek(0) != '"' {
            if self.peek(0) == '\\' {
                text.push(self.blank());
            }
            text.push(self.blank());
        }
        self.end_literal();
        self.literals.push(Piece { line, text });
    }

    fn raw_string(&mut self) {
        let n_hashes = self.chars[self.at + 1..].iter().take_while(|c| **c == '#').count();
        if self.peek(1 + n_hashes) != '"' {
            return self.keep(); // `r#name`
        }
        let line = self.line;
        for _ in 0..n_hashes + 2 {
            self.keep();
        }
        let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', n_hashes)).collect();
        let mut text = String::new();
        while self.at < self.chars.len() && !self.chars[self.at..].starts_with(&end) {
            text.push(self.blank());
        }
        for _ in 0..end.len() {
            self.end_literal();
        }
        self.literals.push(Piece { line, text });
    }

    /// A character, or the beginning of a lifetime.
    fn quote(&mut self) {
        if self.peek(1) == '\\' {
            self.keep();
            self.blank();
            self.blank();
            while self.at < self.chars.len() && !matches!(self.peek(0), '\'' | '\n') {
                self.blank();
            }
            self.end_literal();
        } else if self.peek(2) == '\'' {
            self.keep();
            self.blank();
            self.end_literal();
        } else {
            self.keep();
        }
    }

    fn end_literal(&mut self) {
        if self.at < self.chars.len() {
            self.keep();
        }
    }
}

/// The index just behind the brace that closes the one at `open`, or the end.
fn close(code: &[char], open: usize) -> usize {
    let mut depth = 0_usize;
    for (n, c) in code.iter().enumerate().skip(open) {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return n + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Where the body of the item at `from` opens; none if a `;` outside of brackets comes first.
fn body(code: &[char], from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (n, c) in code.iter().enumerate().skip(from) {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(n),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn line_at(code: &[char], at: usize) -> usize {
    1 + code[..at.min(code.len())].iter().filter(|c| **c == '\n').count()
}

fn functions(code: &[char]) -> Vec<Function> {
    let mut found = Vec::new();
    for at in 0..code.len() {
        let starts = code[at..].starts_with(&['f', 'n', ' ']) && (at == 0 || !is_name(code[at - 1]));
        let name: String = code.iter().skip(at + 3).take_while(|c| is_name(**c)).collect();
        if !starts || name.is_empty() {
            continue;
        }
        if let Some(open) = body(code, at) {
            let line = line_at(code, at);
            let last = line_at(code, close(code, open) - 1);
            found.push(Function { name, line, lines: last - line + 1 });
        }
    }
    found
}

/// Marks the lines of each item under an attribute like `#[cfg(test)]`.
fn tests(code: &[char]) -> Vec<bool> {
    let mut marks = vec![false; line_at(code, code.len())];
    let attributes = [
        &['#', '[', 'c', 'f', 'g', '(', 't', 'e', 's', 't', ')', ']'][..],
        &['#', '[', 't', 'e', 's', 't', ']'],
    ];
    for at in 0..code.len() {
        let Some(attribute) = attributes.iter().find(|a| code[at..].starts_with(a)) else { continue };
        let end = match body(code, at + attribute.len()) {
            Some(open) => close(code, open),
            None => at,
        };
        let (first, last) = (line_at(code, at), line_at(code, end.saturating_sub(1).max(at)));
        marks[first - 1..last].fill(true);
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let rows: &[(&str, &str)] = &[
            ("a // fn b", "a        "),
            ("a /* x /* y */ z */ b", "a                   b"),
            (r#"let s = "x\"y // z";"#, r#"let s = "         ";"#),
            (r##"r#"a " b"# + c"##, r##"r#"     "# + c"##),
            ("'{' '\\'' 'a: loop", "' ' '  ' 'a: loop"),
            ("r#fn br\"x\"", "r#fn br\" \""),
        ];
        for (text, code) in rows {
            assert_eq!(Source::scan(text).code.join("\n"), *code, "{text}");
        }
    }

    #[test]
    fn pieces_keep_their_line() {
        let source = Source::scan("\n/* one\ntwo */ \"three\nfour\"\n// five");
        let lines: Vec<_> =
            source.comments.iter().chain(&source.literals).map(|p| (p.line, p.text.as_str())).collect();
        assert_eq!(lines, [(2, "/* one\ntwo */"), (5, "// five"), (3, "three\nfour")]);
    }

    #[test]
    fn functions_end_at_their_brace() {
        let text = "fn one(a: [u8; 2]) -> u8\nwhere\n{\n    if a { '}' }\n}\ntrait T { fn two(&self); }\ntype F = fn (u8);";
        let found: Vec<_> =
            Source::scan(text).functions.into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("one".to_owned(), 1, 5)]);
    }

    #[test]
    fn tests_are_marked() {
        let source = Source::scan(
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod d;\nfn e() {}",
        );
        let marked: Vec<_> = (1..=9).filter(|line| source.is_test_line(*line)).collect();
        assert_eq!(marked, [2, 3, 4, 5, 7]);
    }

    #[test]
    fn a_word_is_not_the_tail_of_another() {
        assert!(contains_word("x(print!())", "print!"));
        assert!(!contains_word("eprint!()", "print!"));
        assert!(contains_word("pool.send(", ".send("));
    }
}
