//! The key `oauth`: whose access tokens let somebody in over HTTP.

use super::read::not_empty;
use crate::file::sheet::Sheet;
use crate::file::tree::Node;
use crate::oauth::TokenKind;
use url::Url;

/// What it says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Oauth {
    /// Who gives them out.
    pub issuer: Option<String>,
    /// What they are for, where that is not an address of ours.
    pub audience: Option<String>,
    /// The claim that names a user.
    pub user_claim: Option<String>,
    /// What stands before the names of scopes.
    pub scope_prefix: Option<String>,
    /// What they say that they are.
    pub token_type: Option<TokenKind>,
    /// Where the issuer's keys are.
    pub jwks_url: Option<String>,
    /// Whether its metadata may lead into private networks.
    pub allow_private: Option<bool>,
}

impl Oauth {
    /// Takes the value of `what`, where that is one of these keys.
    pub(super) fn take(&mut self, sheet: &mut Sheet<'_>, what: &str, node: &Node) -> bool {
        match what {
            "oauth.issuer" => self.issuer = address(sheet, node, what),
            "oauth.audience" => self.audience = not_empty(sheet.text(node, what)),
            "oauth.user_claim" => self.user_claim = not_empty(sheet.text(node, what)),
            "oauth.scope_prefix" => self.scope_prefix = not_empty(sheet.text(node, what)),
            "oauth.token_type" => {
                self.token_type = sheet.value(node, what, "`at+jwt` or `any`", |word| match word {
                    "at+jwt" => Some(TokenKind::Access),
                    "any" => Some(TokenKind::Any),
                    _ => None,
                });
            }
            "oauth.jwks_url" => self.jwks_url = address(sheet, node, what),
            "oauth.allow_private" => self.allow_private = sheet.truth(node, what),
            _ => return false,
        }
        true
    }
}

/// An address of HTTP, as it is written.
fn address(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Option<String> {
    let is_one = |text: &str| {
        let url = Url::parse(text).ok()?;
        let is_http = matches!(url.scheme(), "https" | "http") && url.host().is_some();
        (is_http && url.fragment().is_none() && url.username().is_empty()).then(|| text.to_owned())
    };
    let text = not_empty(sheet.text(node, what))?;
    sheet.value(node, what, "an address such as `https://login.example.com`", |_| is_one(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::config;

    #[track_caller]
    fn check(oauth: &str, expected: Result<Oauth, &str>) {
        let (config, problems) = config::read(&format!("oauth: {{{oauth}}}"), "c");
        let told = problems.first().map(ToString::to_string);
        let expected = expected.map_err(|sentence| Some(sentence.to_owned()));
        assert_eq!(config.map(|config| config.oauth).ok_or(told), expected, "{oauth}");
    }

    #[test]
    fn what_tokens_are_taken_is_read() {
        check("", Ok(Oauth::default()));
        check("issuer: ''", Ok(Oauth::default()));
        let all = Oauth {
            issuer: Some("https://login.example.com/realms/ops".to_owned()),
            audience: Some("api://station".to_owned()),
            user_claim: Some("email".to_owned()),
            scope_prefix: Some("station:".to_owned()),
            token_type: Some(TokenKind::Any),
            jwks_url: Some("https://login.example.com/keys".to_owned()),
            allow_private: Some(true),
        };
        check(
            "issuer: 'https://login.example.com/realms/ops', audience: 'api://station', user_claim: email, \
            scope_prefix: 'station:', token_type: any, jwks_url: 'https://login.example.com/keys', allow_private: true",
            Ok(all),
        );
    }

    #[test]
    fn what_is_no_address_or_no_word_is_refused() {
        let address = "c:1:17: `oauth.issuer` must be an address such as `https://login.example.com`";
        for issuer in [
            "login.example.com",
            "ftp://a.example",
            "https://",
            "https://a.example/#x",
            "https://u@a.example",
        ] {
            check(&format!("issuer: '{issuer}'"), Err(address));
        }
        check("token_type: jwt", Err("c:1:21: `oauth.token_type` must be `at+jwt` or `any`"));
        check("allow_private: 7", Err("c:1:24: `oauth.allow_private` must be `true` or `false`"));
    }
}
