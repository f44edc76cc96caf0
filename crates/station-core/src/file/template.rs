//! The templates of server files: `{{ .NAME }}` and `{{ if .NAME }}…{{ else }}…{{ end }}`.
//!
//! A file is rendered first and parsed second, because it need not be JSON before (`"max": {{ .MAX }}`). But no value
//! is ever rendered: each variable becomes a sentinel, one character with a known place, and its value is put into
//! the parsed tree (`file::json`). So a quote or a newline in a value can neither break nor inject anything.
//! The syntax and the truth of conditions are Go's (`gotmpl`); what else Go's templates can do is refused by name.

use super::sheet::Fault;
use super::{Position, unclosed};
use gotmpl::parse::{
    ActionNode, BranchNode, Expr, IfNode, ListNode, Node, Number, Parser, PipeNode, TextNode,
};
use gotmpl::{Template, TemplateError};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What stands in the rendered text for a variable. It is known by its place, not by itself: the same character in
/// the file stays what it is. It is not ASCII, so no JSON escape can swallow it.
const SENTINEL: char = '\u{e000}';

/// Most uses of variables in one file: real ones have a dozen, and finding each one's line reads the file.
const USES_MAX: usize = 2_000;

/// A rendered file, and where its parts came from.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    /// The text, with a sentinel for each variable.
    pub(super) text: String,
    /// Every variable in it, by place.
    pub(super) holes: Vec<Hole>,
    /// Variables that conditions asked for, whether they were set or not.
    pub(super) asked: Vec<Asked>,
    origins: Vec<Origin>,
}

/// A variable in the rendered text.
#[derive(Debug)]
pub(super) struct Hole {
    /// Where its sentinel stands, quotes that were put around it left out.
    pub(super) rendered: Range<usize>,
    /// Whether it stood outside quotes in the file.
    pub(super) bare: bool,
    pub(super) variable: String,
    /// Its `{{`, in the file.
    pub(super) at: usize,
}

/// A variable in a condition.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) variable: String,
    pub(super) at: usize,
    /// What depends on it: from the condition to the end of its branches, in the file.
    pub(super) extent: Range<usize>,
}

/// From here on, rendered text comes from `original`: byte by byte, or all of it from one action.
#[derive(Debug)]
struct Origin {
    rendered: usize,
    original: usize,
    verbatim: bool,
}

impl Rendered {
    /// Where byte `at` of the rendered text comes from in the file.
    pub(super) fn original(&self, at: usize) -> usize {
        let next = self.origins.partition_point(|origin| origin.rendered <= at);
        match next.checked_sub(1).map(|index| &self.origins[index]) {
            Some(origin) if origin.verbatim => origin.original + (at - origin.rendered),
            Some(origin) => origin.original,
            None => 0,
        }
    }
}

/// Renders `text`; `value_of` decides conditions and nothing else.
pub(super) fn render(text: &str, value_of: &dyn Fn(&str) -> Option<String>) -> Result<Rendered, Fault> {
    let (tree, defines) =
        Parser::new(text, "{{", "}}").and_then(Parser::parse).map_err(|error| syntax(text, &error))?;
    let mut writer =
        Writer { text, value_of, rendered: Rendered::default(), in_string: false, escaped: false };
    if let Some(define) = defines.first() {
        return Err(writer.fault(define.pos.offset, "`define` has no meaning in a server file"));
    }
    if let Some((at, sentence)) = unclosed::block_of_servers(text) {
        return Err(writer.fault(at, sentence));
    }
    writer.list(&tree)?;
    Ok(writer.rendered)
}

struct Writer<'a> {
    text: &'a str,
    value_of: &'a dyn Fn(&str) -> Option<String>,
    rendered: Rendered,
    /// Whether the rendered text so far ends inside a JSON string.
    in_string: bool,
    /// Whether it ends with a backslash that escapes what comes next.
    escaped: bool,
}

impl Writer<'_> {
    fn list(&mut self, list: &ListNode) -> Result<(), Fault> {
        list.nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &Node) -> Result<(), Fault> {
        match node {
            Node::Text(text) => {
                let at = text_at(self.text, text);
                self.write(&text.text, at, true);
                Ok(())
            }
            Node::Action(action) => self.action(action),
            Node::If(branch) => self.branch(branch),
            Node::List(list) => self.list(list),
            Node::Range(BranchNode { pos, .. }) => Err(self.not_here(pos.offset, "range")),
            Node::With(BranchNode { pos, .. }) => Err(self.not_here(pos.offset, "with")),
            Node::Template(template) => Err(self.not_here(template.pos.offset, "template")),
            Node::Define(define) => Err(self.not_here(define.pos.offset, "define")),
            Node::Break(pos) => Err(self.not_here(pos.offset, "break")),
            Node::Continue(pos) => Err(self.not_here(pos.offset, "continue")),
        }
    }

    fn action(&mut self, action: &ActionNode) -> Result<(), Fault> {
        let at = self.opening(action.pos.offset);
        let expr = match action.pipe.commands.as_slice() {
            [command] if action.pipe.decl.is_empty() && command.args.len() == 1 => &command.args[0],
            _ => return Err(self.not_here(at, "this expression")),
        };
        if let Some(name) = variable(expr) {
            return self.hole(name, at);
        }
        match expr {
            Expr::String(_, text) => self.write(text, at, false),
            Expr::Bool(_, value) => self.write(&value.to_string(), at, false),
            Expr::Number(_, Number::Int(number)) => self.write(&number.to_string(), at, false),
            Expr::Identifier(_, name) => {
                return Err(self
                    .fault(at, format!("`{name}` is not a variable"))
                    .with_hint(format!("write `{{{{ .{name} }}}}`, with a dot")));
            }
            _ => return Err(self.not_here(at, "this expression")),
        }
        Ok(())
    }

    fn hole(&mut self, name: &str, at: usize) -> Result<(), Fault> {
        if self.escaped {
            return Err(self.fault(at, format!("variable `{name}` stands behind a backslash")));
        }
        if self.rendered.holes.len() + self.rendered.asked.len() >= USES_MAX {
            return Err(self.fault(at, "the file uses variables more than 2,000 times"));
        }
        let bare = !self.in_string;
        self.origin(at, false);
        let start = self.rendered.text.len() + usize::from(bare);
        if bare {
            self.rendered.text.extend(['"', SENTINEL, '"']);
        } else {
            self.rendered.text.push(SENTINEL);
        }
        let rendered = start..start + SENTINEL.len_utf8();
        self.rendered.holes.push(Hole { rendered, bare, variable: name.to_owned(), at });
        Ok(())
    }

    fn branch(&mut self, branch: &IfNode) -> Result<(), Fault> {
        let at = self.opening(branch.pos.offset);
        let mut names = Vec::new();
        variables_of(&branch.pipe, &mut names);
        let extent = at..extent(self.text, branch).max(at);
        if self.rendered.holes.len() + self.rendered.asked.len() + names.len() > USES_MAX {
            return Err(self.fault(at, "the file uses variables more than 2,000 times"));
        }
        self.rendered.asked.extend(names.iter().map(|name| Asked {
            variable: name.clone(),
            at,
            extent: extent.clone(),
        }));
        let taken = condition(branch, &names, self.value_of).map_err(|error| {
            self.fault(at, format!("this condition cannot be decided: {}", told(&error)))
                .with_hint("a condition is `{{ if .NAME }}`: true where the variable is set and not empty")
        })?;
        match (taken, &branch.else_body) {
            (true, _) => self.list(&branch.body),
            (false, Some(otherwise)) => self.list(otherwise),
            (false, None) => Ok(()),
        }
    }

    fn write(&mut self, text: &str, original: usize, verbatim: bool) {
        self.origin(original, verbatim);
        self.rendered.text.push_str(text);
        for c in text.chars() {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' if self.in_string => self.escaped = true,
                '"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }

    fn origin(&mut self, original: usize, verbatim: bool) {
        self.rendered.origins.push(Origin { rendered: self.rendered.text.len(), original, verbatim });
    }

    /// The `{{` before byte `at`, which lies inside an action.
    fn opening(&self, at: usize) -> usize {
        let upto = self.text.get(..at).unwrap_or_default();
        if self.text[upto.len()..].starts_with("{{") { at } else { upto.rfind("{{").unwrap_or(at) }
    }

    fn fault(&self, at: usize, sentence: impl Into<String>) -> Fault {
        Fault::new(Some(Position::of(self.text, at)), sentence)
    }

    fn not_here(&self, at: usize, what: &str) -> Fault {
        let what = if what.contains(' ') { what.to_owned() } else { format!("`{what}`") };
        self.fault(self.opening(at), format!("{what} is not understood in a server file"))
            .with_hint("what is understood: `{{ .NAME }}` and `{{ if .NAME }}…{{ else }}…{{ end }}`")
    }
}

/// Where a piece of text begins in the file: `-}}` before it cuts blanks that its position still counts.
fn text_at(source: &str, node: &TextNode) -> usize {
    let rest = source.get(node.pos.offset..).unwrap_or_default();
    let cut = if rest.starts_with(node.text.as_ref()) { 0 } else { rest.len() - rest.trim_start().len() };
    node.pos.offset + cut
}

/// The last byte that a branch can reach, in the file.
fn extent(source: &str, branch: &IfNode) -> usize {
    let lists = std::iter::once(&branch.body).chain(&branch.else_body);
    lists.flat_map(|list| &list.nodes).map(|node| reach(source, node)).max().unwrap_or(branch.pos.offset)
}

fn reach(source: &str, node: &Node) -> usize {
    match node {
        Node::Text(text) => text_at(source, text) + text.text.len(),
        Node::Action(action) => action.pos.offset,
        Node::If(branch) => extent(source, branch),
        _ => 0,
    }
}

/// The variable that `expr` is: `.NAME`, or `$.NAME`.
fn variable(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Field(_, names) => single(names),
        Expr::Variable(_, root, names) if root.as_str() == "$" => single(names),
        _ => None,
    }
}

fn single(names: &[gotmpl::parse::SmolStr]) -> Option<&str> {
    match names {
        [name] => Some(name.as_str()),
        _ => None,
    }
}

fn variables_of(pipe: &PipeNode, names: &mut Vec<String>) {
    for expr in pipe.commands.iter().flat_map(|command| &command.args) {
        match expr {
            Expr::Pipe(_, pipe) => variables_of(pipe, names),
            expr => names.extend(variable(expr).map(str::to_owned)),
        }
    }
}

/// Decides a condition as Go does: a text is true where it is not empty. What is not set counts as empty.
fn condition(
    branch: &IfNode,
    names: &[String],
    value_of: &dyn Fn(&str) -> Option<String>,
) -> Result<bool, TemplateError> {
    let text = |text: &str| {
        let node = Node::Text(TextNode { pos: branch.pos, text: Arc::from(text) });
        ListNode { pos: branch.pos, nodes: vec![node] }
    };
    let question = Node::If(IfNode {
        pos: branch.pos,
        pipe: branch.pipe.clone(),
        body: text("true"),
        else_body: Some(text("")),
    });
    let values: BTreeMap<Arc<str>, gotmpl::Value> = names
        .iter()
        .map(|name| {
            let value = value_of(name).unwrap_or_default();
            (Arc::from(name.as_str()), gotmpl::Value::String(Arc::from(value.as_str())))
        })
        .collect();
    Template::new("")
        .add_parse_tree("condition", ListNode { pos: branch.pos, nodes: vec![question] })
        .execute_template_to_string("condition", &gotmpl::Value::Map(Arc::new(values)))
        .map(|answer| !answer.is_empty())
}

fn syntax(text: &str, error: &TemplateError) -> Fault {
    let parsers = |line: usize, column: usize| {
        let at = Position { line, column: column.max(1) };
        // A place behind the last line is none that can be looked at.
        if (1..=text.lines().count()).contains(&line) { at } else { Position::of(text, 0) }
    };
    match (error, unclosed::tag_of_servers(text)) {
        (_, Some((at, sentence))) => Fault::new(Some(Position::of(text, at)), sentence),
        (
            TemplateError::Parse { line, col, message, .. } | TemplateError::Lex { line, col, message, .. },
            None,
        ) => Fault::new(Some(parsers(*line, *col)), format!("the template is broken: {message}")),
        (_, None) => Fault::new(None, "the template is broken"),
    }
}

/// What a condition's failure is, without the values it was about.
fn told(error: &TemplateError) -> String {
    match error {
        TemplateError::UndefinedFunction(name) => format!("there is no function `{name}`"),
        TemplateError::UndefinedVariable(name) => format!("there is no variable `{name}`"),
        TemplateError::ArgCount { name, .. } => format!("`{name}` has the wrong number of arguments"),
        _ => "its values do not fit together".to_owned(),
    }
}
