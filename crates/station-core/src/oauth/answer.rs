//! What comes back: a code from the browser, and tokens for it.

use super::IssuerDocument;
use super::resource::short;
use crate::Secret;
use serde_json::Value;
use url::Url;

/// The code that came back from the browser: as the address that it was sent to, or typed by a person.
///
/// # Errors
/// Why it is not taken, as a sentence.
pub fn code_of(text: &str, state: &str, issuer: &IssuerDocument) -> Result<Secret, String> {
    let text = text.trim();
    let query = text.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
    let query = query.or_else(|| text.contains('=').then_some(text));
    let Some(query) = query else {
        return match (text.is_empty(), issuer.names_itself) {
            (true, _) => Err("nothing came back".to_owned()),
            (false, true) => Err(
                "the code alone does not say who gave it out: give the whole address that the browser was sent to"
                    .to_owned(),
            ),
            // A person read it where the address was opened; PKCE binds it to this login.
            (false, false) => Ok(Secret::new(text)),
        };
    };
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if field("state") != Some(state) {
        return Err(
            "what came back belongs to another login: begin again with the address of this one".to_owned()
        );
    }
    // RFC 9207, section 2.4: letter by letter; and what does not name itself although it always does is another's.
    match field("iss") {
        Some(named) if named != issuer.issuer => {
            return Err(format!(
                "the answer came from `{}`, not from `{}`: it was not used",
                short(named),
                short(&issuer.issuer)
            ));
        }
        None if issuer.names_itself => {
            return Err(format!(
                "the answer does not say that it is from `{}`, which says so in all of its answers: it was not used",
                short(&issuer.issuer)
            ));
        }
        _ => {}
    }
    if let Some(error) = field("error") {
        let why = field("error_description").map(|text| format!(": {}", short(text))).unwrap_or_default();
        return Err(format!("the login was refused with `{}`{why}", short(error)));
    }
    field("code").map(Secret::new).ok_or_else(|| "what came back holds no code".to_owned())
}

/// What an issuer refuses with (RFC 6749, section 5.2; RFC 8628, section 3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its word.
    pub code: String,
    /// What it says besides.
    pub description: Option<String>,
}

impl Fault {
    /// Reads the body of a refusal.
    #[must_use]
    pub fn read(body: &Value) -> Option<Self> {
        let code = short(body["error"].as_str()?);
        Some(Self { code, description: body["error_description"].as_str().map(short) })
    }

    /// Whether what was shown is worth nothing any more: it ended, was used, or was taken back.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.code.as_str(), "invalid_grant" | "invalid_client" | "unauthorized_client")
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let more = self.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        format!("`{}`{more}", self.code)
    }
}

/// Tokens, as they were given out (RFC 6749, section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAnswer {
    /// What is shown to the server.
    pub access: Secret,
    /// What a new one is asked for with.
    pub refresh: Option<Secret>,
    /// Seconds that it is good for.
    pub expires_in_s: Option<u64>,
    /// What it is good for, where that is not what was asked for.
    pub scope: Option<String>,
}

impl TokenAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    /// Why it cannot be used, as the rest of a sentence that begins with the issuer's name.
    pub fn read(body: &Value) -> Result<Self, String> {
        let access = body["access_token"].as_str().filter(|token| !token.is_empty());
        let Some(access) = access else { return Err("gave out no token".to_owned()) };
        if !access.chars().all(|c| c.is_ascii_graphic()) {
            return Err("gave out a token that no header can carry".to_owned());
        }
        let kind = body["token_type"].as_str().unwrap_or("Bearer");
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(format!("gave out a token of the type `{}`, which Station cannot show", short(kind)));
        }
        let seconds = &body["expires_in"];
        Ok(Self {
            access: Secret::new(access),
            refresh: body["refresh_token"].as_str().map(Secret::new),
            // Some give it as text.
            expires_in_s: seconds.as_u64().or_else(|| seconds.as_str()?.parse().ok()),
            scope: body["scope"].as_str().map(str::to_owned).filter(|scope| !scope.is_empty()),
        })
    }
}

/// The address that a person opens to agree.
impl IssuerDocument {
    /// The authorization request (RFC 6749, section 4.1.1, with PKCE and RFC 8707).
    #[must_use]
    pub fn authorization_address(&self, fields: &[(&str, &str)]) -> Url {
        let mut address = self.authorization.clone();
        address.query_pairs_mut().extend_pairs(fields);
        address
    }
}
