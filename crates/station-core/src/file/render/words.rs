//! dotprompt's own words, and Handlebars' where its defaults do not fit a prompt.
//!
//! `role` and `history` write marks that only this run knows; `json`, `ifEquals`, `unlessEquals`, `section` and
//! `media` are as in google/dotprompt. A name that nothing defines renders empty and is remembered.

use super::calls::ROLES;
use handlebars::{
    BlockContext, Context, Handlebars, Helper, HelperDef, HelperResult, JsonTruthy, Output, RenderContext,
    RenderError, RenderErrorReason, Renderable, Template, no_escape,
};
use serde_json::Value;
use std::sync::Mutex;

/// Names that were asked for and that nobody set, in the order of asking.
#[derive(Default)]
pub(super) struct Unset(Mutex<Vec<String>>);

impl Unset {
    /// The names, each once.
    pub(super) fn into_names(self) -> Vec<String> {
        self.0.into_inner().unwrap_or_default()
    }

    fn add(&self, name: &str) {
        if let Ok(mut names) = self.0.lock()
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
}

/// A registry for one run: `mark` opens and closes a role mark in its output.
pub(super) fn registry(mark: char, unset: &Unset) -> Handlebars<'_> {
    let mut registry = Handlebars::new();
    registry.register_escape_fn(no_escape);
    registry.register_helper("role", Box::new(Role { mark }));
    registry.register_helper("history", Box::new(History { mark }));
    registry.register_helper("json", Box::new(Json { unset }));
    registry.register_helper("ifEquals", Box::new(Compare { wanted: true }));
    registry.register_helper("unlessEquals", Box::new(Compare { wanted: false }));
    registry.register_helper("section", Box::new(Plain));
    registry.register_helper("media", Box::new(Media));
    // A task does not belong in the log.
    registry.register_helper("log", Box::new(Plain));
    registry.register_helper("helperMissing", Box::new(Missing { unset }));
    registry.register_helper("blockHelperMissing", Box::new(Section));
    registry
}

struct Role {
    mark: char,
}

impl HelperDef for Role {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let role = helper.param(0).and_then(|role| role.value().as_str()).unwrap_or_default();
        if helper.is_block() || !ROLES.contains(&role) {
            return fail("a role is written {{role \"system\"}}, \"user\" or \"model\"");
        }
        Ok(out.write(&format!("{0}{role}{0}", self.mark))?)
    }
}

struct History {
    mark: char,
}

impl HelperDef for History {
    fn call<'reg: 'rc, 'rc>(
        &self,
        _: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        Ok(out.write(&format!("{0}history{0}", self.mark))?)
    }
}

struct Json<'a> {
    unset: &'a Unset,
}

impl HelperDef for Json<'_> {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let Some(param) = helper.param(0) else {
            return fail("`json` needs a value");
        };
        if param.is_value_missing() {
            if let Some(name) = param.relative_path() {
                self.unset.add(name);
            }
            return Ok(());
        }
        let pretty = helper.hash_get("indent").is_some_and(|indent| indent.value().as_u64().unwrap_or(0) > 0);
        let text = if pretty {
            serde_json::to_string_pretty(param.value())
        } else {
            serde_json::to_string(param.value())
        };
        Ok(out.write(&text.map_err(RenderErrorReason::from)?)?)
    }
}

struct Compare {
    wanted: bool,
}

impl HelperDef for Compare {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        ctx: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let (Some(left), Some(right)) = (helper.param(0), helper.param(1)) else {
            return fail("`ifEquals` and `unlessEquals` compare two values");
        };
        let chosen =
            if (left.value() == right.value()) == self.wanted { helper.template() } else { helper.inverse() };
        render_inside(chosen, registry, ctx, rc, out)
    }
}

/// Names a part for tools that read prompts; in a run it is only its content.
struct Plain;

impl HelperDef for Plain {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        ctx: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        render_inside(helper.template(), registry, ctx, rc, out)
    }
}

/// Models are given text here: a medium is named, not shown.
struct Media;

impl HelperDef for Media {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let url = helper.hash_get("url").and_then(|url| url.value().as_str()).unwrap_or_default();
        Ok(out.write(&format!("[media: {url}]"))?)
    }
}

/// `{{name}}` that nothing defines.
struct Missing<'a> {
    unset: &'a Unset,
}

impl HelperDef for Missing<'_> {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        _: &mut dyn Output,
    ) -> HelperResult {
        if !helper.params().is_empty() || !helper.hash().is_empty() {
            return Err(RenderErrorReason::HelperNotFound(helper.name().to_owned()).into());
        }
        self.unset.add(helper.name());
        Ok(())
    }
}

/// `{{#name}}…{{/name}}` over a variable, as Handlebars has it: once for each item of a list, within a mapping, or
/// if the value is true.
struct Section;

impl HelperDef for Section {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        ctx: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        if !helper.params().is_empty() {
            return Err(RenderErrorReason::HelperNotFound(helper.name().to_owned()).into());
        }
        let value = rc.evaluate(ctx, helper.name())?.as_json().clone();
        let items = match value {
            Value::Array(items) if !items.is_empty() => items,
            Value::Bool(true) => return render_inside(helper.template(), registry, ctx, rc, out),
            other if other.is_truthy(false) => vec![other],
            _ => return render_inside(helper.inverse(), registry, ctx, rc, out),
        };
        for item in items {
            let mut block = BlockContext::new();
            block.set_base_value(item);
            rc.push_block(block);
            let result = render_inside(helper.template(), registry, ctx, rc, out);
            rc.pop_block();
            result?;
        }
        Ok(())
    }
}

fn render_inside<'reg: 'rc, 'rc>(
    template: Option<&'rc Template>,
    registry: &'reg Handlebars<'reg>,
    ctx: &'rc Context,
    rc: &mut RenderContext<'reg, 'rc>,
    out: &mut dyn Output,
) -> HelperResult {
    template.map_or(Ok(()), |template| template.render(registry, ctx, rc, out))
}

fn fail(sentence: &str) -> Result<(), RenderError> {
    Err(RenderErrorReason::Other(sentence.to_owned()).into())
}
