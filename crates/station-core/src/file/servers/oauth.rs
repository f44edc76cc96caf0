//! How a login at a server is made: `station.oauth` of an entry.

use crate::Secret;
use crate::file::sheet::Sheet;
use crate::file::tree::Node;
use crate::oauth::OauthSettings;

/// Its keys.
const KEYS: &[&str] =
    &["client_metadata_url", "client_id", "client_secret", "scopes", "redirect_port", "allow_private"];

pub(super) fn oauth(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> OauthSettings {
    let mut settings = OauthSettings::default();
    for member in sheet.members(node, what) {
        let what = format!("{what}.{}", member.key.escape_debug());
        let node = &member.node;
        match member.key.as_str() {
            _ if node.is_null() => {}
            "client_metadata_url" => {
                let must_be = "an address that begins with `https://`";
                let is_one = |text: &str| text.starts_with("https://").then(|| text.to_owned());
                settings.client_metadata_url = sheet.value(node, &what, must_be, is_one);
            }
            "client_id" => settings.client_id = sheet.text(node, &what),
            "client_secret" => settings.client_secret = sheet.text(node, &what).map(Secret::new),
            "scopes" => settings.scopes = sheet.texts(node, &what),
            "redirect_port" => settings.redirect_port = sheet.number(node, &what, 1),
            "allow_private" => {
                settings.allow_private = sheet.truth(node, &what).unwrap_or(false);
            }
            _ => sheet.unknown(member.at, &what, KEYS),
        }
    }
    settings
}
