//! What an environment's servers offer beside tools, by the names that it has here, and whose it is.

use super::Gateway;
use super::names::names;
use serde_json::{Map, Value, json};
use station_core::discovery::{DiscoveredPrompt, DiscoveredResource};
use station_core::{Caller, Result, ServerId};
use station_engine::ServerOffer;
use std::collections::HashSet;
use std::sync::Arc;

/// Offers of all servers, in the order of the files.
pub(super) struct Offers(Arc<[ServerOffer]>);

impl Gateway {
    pub(super) async fn offers(&self, by: &Caller) -> Result<Offers> {
        self.station.list_offers(by, &self.environment).await.map(Offers)
    }
}

impl Offers {
    /// Resources, or templates of some, as they are shown: of several with one address, the first.
    pub(super) fn resources(&self, is_template: bool) -> Vec<Value> {
        let mut taken = HashSet::new();
        let all = self.0.iter().flat_map(|offer| &offer.resources);
        all.filter(|it| it.is_template == is_template && taken.insert(&it.uri)).map(resource).collect()
    }

    /// Prompts as they are shown.
    pub(super) fn prompts(&self) -> Vec<Value> {
        self.named().into_iter().map(|(name, _, found)| prompt(&name, found)).collect()
    }

    /// The server that has the prompt of this name here, and its name there.
    pub(super) fn prompt(&self, name: &str) -> Option<(ServerId, String)> {
        let found = self.named().into_iter().find(|(here, ..)| here == name)?;
        Some((found.1, found.2.name.clone()))
    }

    /// Names of all prompts.
    pub(super) fn prompt_names(&self) -> Vec<String> {
        self.named().into_iter().map(|(name, ..)| name).collect()
    }

    /// Servers that may have the resource at `uri`, best first: whoever lists it, has a template for it, or has resources at
    /// all, since not every resource is listed.
    pub(super) fn holders(&self, uri: &str) -> Vec<ServerId> {
        let lists = |offer: &&ServerOffer| offer.resources.iter().any(|it| !it.is_template && it.uri == uri);
        let fits =
            |offer: &&ServerOffer| offer.resources.iter().any(|it| it.is_template && matches(&it.uri, uri));
        let has = |offer: &&ServerOffer| offer.capabilities.get("resources").is_some();
        if let Some(sure) = self.0.iter().find(lists).or_else(|| self.0.iter().find(fits)) {
            return vec![sure.server];
        }
        self.0.iter().filter(has).map(|offer| offer.server).collect()
    }

    /// The server that has this template, or this resource.
    pub(super) fn template(&self, template: &str) -> Option<ServerId> {
        let has = |offer: &&ServerOffer| offer.resources.iter().any(|it| it.uri == template);
        self.0.iter().find(has).map(|offer| offer.server)
    }

    /// Whether a server completes arguments.
    pub(super) fn completes(&self, server: ServerId) -> bool {
        let is_it = |offer: &&ServerOffer| offer.server == server;
        self.0.iter().find(is_it).is_some_and(|it| it.capabilities.get("completions").is_some())
    }

    fn named(&self) -> Vec<(String, ServerId, &DiscoveredPrompt)> {
        let all = || self.0.iter().flat_map(|offer| offer.prompts.iter().map(move |prompt| (offer, prompt)));
        let names = names(all().map(|(offer, prompt)| (offer.name.as_str(), prompt.name.as_str())));
        names
            .into_iter()
            .zip(all())
            .filter_map(|(name, (offer, prompt))| Some((name?, offer.server, prompt)))
            .collect()
    }
}

fn resource(found: &DiscoveredResource) -> Value {
    let address = if found.is_template { "uriTemplate" } else { "uri" };
    // The protocol wants a name; not every server has one.
    let name = if found.name.is_empty() { &found.uri } else { &found.name };
    let mut entry = json!({ address: found.uri, "name": name });
    if !found.description.is_empty() {
        entry["description"] = found.description.as_str().into();
    }
    if let Some(mime) = &found.mime {
        entry["mimeType"] = mime.as_str().into();
    }
    for (key, value) in &found.more {
        entry[key] = value.clone();
    }
    entry
}

fn prompt(name: &str, found: &DiscoveredPrompt) -> Value {
    let mut entry = Map::from_iter([("name".to_owned(), Value::from(name))]);
    if !found.description.is_empty() {
        entry.insert("description".to_owned(), found.description.as_str().into());
    }
    if found.arguments.as_array().is_some_and(|it| !it.is_empty()) {
        entry.insert("arguments".to_owned(), found.arguments.clone());
    }
    entry.extend(found.more.clone());
    Value::Object(entry)
}

/// Whether `uri` may be an address of `template` (RFC 6570): `{name}` stands for something without a slash, every other
/// expression for anything.
fn matches(template: &str, uri: &str) -> bool {
    let Some((before, rest)) = template.split_once('{') else { return template == uri };
    let Some((expression, after)) = rest.split_once('}') else { return template == uri };
    let Some(uri) = uri.strip_prefix(before) else { return false };
    let is_plain = expression.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '%');
    let ends = uri.char_indices().map(|(at, _)| at).chain([uri.len()]);
    let mut ends = ends.filter(|end| !is_plain || (*end > 0 && !uri[..*end].contains('/')));
    ends.any(|end| matches(after, &uri[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_to_be_of_a_template() {
        let check =
            |template: &str, uri: &str, is: bool| assert_eq!(matches(template, uri), is, "{template} {uri}");
        check("a://b", "a://b", true);
        check("a://b/{id}", "a://b/7", true);
        check("a://b/{id}", "a://b/", false);
        check("a://b/{id}", "a://b/7/x", false);
        check("a://b/{id}/x", "a://b/7/x", true);
        check("a://{x}/{y}", "a://1/2", true);
        check("a://{+path}", "a://1/2", true);
        check("a://b{?q}", "a://b?q=1", true);
        check("a://{id", "a://7", false);
    }
}
