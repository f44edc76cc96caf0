//! What an issuer remembers, and what it gives out for what.

use super::Shared;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// A refusal: status and body.
pub(super) type Refused = (u16, Value);

#[derive(Default)]
pub(super) struct Grants {
    n: u64,
    clients: BTreeMap<String, Vec<String>>,
    codes: BTreeMap<String, Code>,
    devices: BTreeSet<String>,
    /// Scopes by token.
    pub(super) tokens: BTreeMap<String, String>,
    pub(super) refreshes: BTreeMap<String, String>,
    pub(super) asked: Vec<String>,
    pub(super) secrets: Vec<String>,
}

struct Code {
    client: String,
    redirect: String,
    challenge: String,
    resource: String,
    scope: String,
}

impl Shared {
    pub(super) fn document(&self) -> Value {
        let name = self.name();
        let at = |path: &str| format!("{name}{path}");
        let mut document = json!({
            "issuer": name,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "revocation_endpoint": at("/revoke"),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
            "authorization_response_iss_parameter_supported": true,
        });
        if self.conduct.registers {
            document["registration_endpoint"] = json!(at("/register"));
        }
        if self.conduct.has_devices {
            document["device_authorization_endpoint"] = json!(at("/device"));
        }
        document
    }

    pub(super) fn register(&self, body: &Value) -> Result<Value, Refused> {
        let redirects: Vec<String> =
            serde_json::from_value(body["redirect_uris"].clone()).unwrap_or_default();
        if !self.conduct.registers || redirects.is_empty() || body["application_type"] != "native" {
            return Err((400, json!({ "error": "invalid_client_metadata" })));
        }
        let mut grants = self.grants();
        let id = grants.new_name("client");
        grants.asked.push("register".to_owned());
        grants.clients.insert(id.clone(), redirects.clone());
        Ok(json!({ "client_id": id, "redirect_uris": redirects, "token_endpoint_auth_method": "none" }))
    }

    /// Where the browser is sent to.
    pub(super) fn authorize(&self, fields: &BTreeMap<String, String>) -> Result<String, Refused> {
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let (client, redirect) = (field("client_id"), field("redirect_uri"));
        let mut grants = self.grants();
        let by_hand = self.conduct.known_client.is_some_and(|(id, _)| id == client);
        let is_known = grants.clients.get(&client).is_some_and(|redirects| redirects.contains(&redirect));
        if !(by_hand || is_known) || field("code_challenge_method") != "S256" {
            return Err((400, json!({ "error": "invalid_request" })));
        }
        let scope = if field("scope").is_empty() { "read".to_owned() } else { field("scope") };
        grants.asked.push(format!("authorize {scope}"));
        let code = grants.new_secret("code");
        let (challenge, resource) = (field("code_challenge"), field("resource"));
        let kept = Code { client, redirect: redirect.clone(), challenge, resource, scope };
        grants.codes.insert(code.clone(), kept);
        let name = self.conduct.pretends_to_be.map_or_else(|| self.name(), str::to_owned);
        Ok(format!("{redirect}?code={code}&state={}&iss={}", field("state"), name.replace(':', "%3A")))
    }

    pub(super) fn device(&self) -> Value {
        let mut grants = self.grants();
        grants.asked.push("device".to_owned());
        let code = grants.new_secret("device");
        grants.devices.insert(code.clone());
        json!({
            "device_code": code, "user_code": "WDJB-MJHT", "interval": 0, "expires_in": 60,
            "verification_uri": format!("{}/activate", self.name()),
        })
    }

    pub(super) fn revoke(&self, fields: &BTreeMap<String, String>) {
        let mut grants = self.grants();
        grants.asked.push("revoke".to_owned());
        if let Some(token) = fields.get("token") {
            grants.tokens.remove(token);
            grants.refreshes.remove(token);
        }
    }

    pub(super) fn token(
        &self,
        fields: &BTreeMap<String, String>,
        basic: Option<&str>,
    ) -> Result<Value, Refused> {
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let refused = |error: &str| Err((400, json!({ "error": error })));
        let Some(client) = self.client(&field("client_id"), basic) else {
            return Err((401, json!({ "error": "invalid_client" })));
        };
        let mut grants = self.grants();
        let scope = match field("grant_type").as_str() {
            "authorization_code" => {
                grants.asked.push("code".to_owned());
                // A code is good once.
                let Some(code) = grants.codes.remove(&field("code")) else { return refused("invalid_grant") };
                let proof = Sha256::digest(field("code_verifier").as_bytes());
                let fits = code.challenge == BASE64_URL_SAFE_NO_PAD.encode(proof)
                    && code.client == client
                    && code.redirect == field("redirect_uri")
                    && code.resource == field("resource");
                if !fits {
                    return refused("invalid_grant");
                }
                code.scope
            }
            "refresh_token" => {
                // So is a refresh token: whoever comes second was too late, or is a thief.
                let Some(scope) = grants.refreshes.remove(&field("refresh_token")) else {
                    grants.asked.push("refresh refused".to_owned());
                    return refused("invalid_grant");
                };
                grants.asked.push("refresh".to_owned());
                scope
            }
            "urn:ietf:params:oauth:grant-type:device_code" => {
                // Asked a first time, the person is still typing.
                if grants.devices.remove(&field("device_code")) {
                    grants.codes.insert(field("device_code"), Code::of_device(&client));
                    return refused("authorization_pending");
                }
                match grants.codes.remove(&field("device_code")) {
                    Some(code) => code.scope,
                    None => return refused("expired_token"),
                }
            }
            _ => return refused("unsupported_grant_type"),
        };
        let (access, refresh) = (grants.new_secret("access"), grants.new_secret("refresh"));
        grants.tokens.insert(access.clone(), scope.clone());
        grants.refreshes.insert(refresh.clone(), scope.clone());
        Ok(json!({
            "access_token": access, "token_type": "Bearer", "expires_in": self.conduct.expires_in_s,
            "refresh_token": refresh, "scope": scope,
        }))
    }

    /// Who asks, if they prove it.
    fn client(&self, named: &str, basic: Option<&str>) -> Option<String> {
        match (basic, self.conduct.known_client) {
            (Some(basic), Some((id, secret))) => (basic == format!("{id}:{secret}")).then(|| id.to_owned()),
            (Some(_), None) => None,
            (None, Some((id, _))) if id == named => None,
            (None, _) => self.grants().clients.contains_key(named).then(|| named.to_owned()),
        }
    }

    /// What a guarded request is answered in place of its answer: nothing where it may pass.
    pub(super) fn challenge(&self, token: Option<&str>, is_call: bool) -> Option<(u16, String)> {
        let metadata =
            format!("resource_metadata=\"{}/.well-known/oauth-protected-resource/mcp\"", self.name());
        let grants = self.grants();
        let Some(scope) = token.and_then(|token| grants.tokens.get(token)) else {
            return Some((401, format!("Bearer scope=\"read\", {metadata}")));
        };
        let need = self.conduct.calls_need.filter(|_| is_call)?;
        let has = scope.split_whitespace().any(|word| word == need);
        (!has).then(|| (403, format!("Bearer error=\"insufficient_scope\", scope=\"{need}\", {metadata}")))
    }
}

impl Code {
    fn of_device(client: &str) -> Self {
        let (redirect, challenge, resource) = (String::new(), String::new(), String::new());
        Self { client: client.to_owned(), redirect, challenge, resource, scope: "read".to_owned() }
    }
}

impl Grants {
    fn new_name(&mut self, kind: &str) -> String {
        self.n += 1;
        format!("{kind}-{}", self.n)
    }

    /// Long enough that nothing else has it in it by chance.
    fn new_secret(&mut self, kind: &str) -> String {
        let name = self.new_name(kind);
        let secret =
            format!("{name}-{}", BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(name.as_bytes())[..12]));
        self.secrets.push(secret.clone());
        secret
    }
}
