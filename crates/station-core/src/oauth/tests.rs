//! The decisions, row by row.

use super::*;
use crate::{Micros, Secret};
use serde_json::{Value, json};
use url::Url;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn document(more: &Value) -> Value {
    let mut document = json!({
        "issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "code_challenge_methods_supported": ["S256"],
    });
    for (key, value) in more.as_object().unwrap() {
        document[key] = value.clone();
    }
    document
}

fn issuer(more: &Value) -> IssuerDocument {
    IssuerDocument::read(&document(more), "https://as.example").unwrap()
}

#[test]
fn a_challenge_is_found_among_others() {
    let check = |status: u16, header: &str, expected: Option<(Option<&str>, Option<&str>, bool)>| {
        let found = Challenge::read(status, [header]);
        let found =
            found.as_ref().map(|it| (it.resource_metadata.as_deref(), it.scope.as_deref(), it.needs_more));
        assert_eq!(found, expected, "{status} {header}");
    };
    let at = Some("https://h/.well-known/oauth-protected-resource");
    check(401, "", Some((None, None, false)));
    check(401, "Bearer", Some((None, None, false)));
    check(401, "Basic realm=\"x, Bearer y\"", Some((None, None, false)));
    check(
        401,
        "Bearer resource_metadata=\"https://h/.well-known/oauth-protected-resource\", scope=\"a b\"",
        Some((at, Some("a b"), false)),
    );
    check(
        401,
        "Basic realm=\"a\\\"b, c\", bearer scope=a,resource_metadata=\"https://h/.well-known/oauth-protected-resource\"",
        Some((at, Some("a"), false)),
    );
    check(401, "Bearer scope=\"a\", Basic scope=\"b\"", Some((None, Some("a"), false)));
    check(403, "Bearer error=\"insufficient_scope\", scope=\"w\"", Some((None, Some("w"), true)));
    check(403, "Bearer error=\"invalid_token\"", None);
    check(403, "", None);
    check(500, "Bearer scope=\"a\"", None);
}

#[test]
fn documents_are_looked_for_in_order() {
    let resources = |server: &str, named: Option<&str>| {
        let challenge = Challenge { resource_metadata: named.map(str::to_owned), ..Challenge::default() };
        resource_documents(&url(server), &challenge).iter().map(Url::to_string).collect::<Vec<_>>()
    };
    let well_known = "https://h/.well-known/oauth-protected-resource";
    assert_eq!(resources("https://h/mcp?x=1", None), [format!("{well_known}/mcp"), well_known.to_owned()]);
    assert_eq!(resources("https://h/", None), [well_known]);
    assert_eq!(resources("https://h/mcp", Some("https://h/custom.json")), ["https://h/custom.json"]);
    assert_eq!(resources("https://h/", Some("no address")), [well_known]);

    let issuers = |text: &str| issuer_documents(&url(text)).iter().map(Url::to_string).collect::<Vec<_>>();
    assert_eq!(
        issuers("https://h"),
        ["https://h/.well-known/oauth-authorization-server", "https://h/.well-known/openid-configuration"]
    );
    assert_eq!(
        issuers("https://h/tenant/"),
        [
            "https://h/.well-known/oauth-authorization-server/tenant",
            "https://h/.well-known/openid-configuration/tenant",
            "https://h/tenant/.well-known/openid-configuration",
        ]
    );
}

#[test]
fn a_token_is_asked_for_where_the_server_is_and_nowhere_else() {
    let check = |resource: &str, server: &str, is_taken: bool| {
        let document = json!({ "resource": resource, "authorization_servers": ["https://as.example"] });
        let read = ResourceDocument::read(&document, &url(server));
        assert_eq!(read.is_ok(), is_taken, "{resource} {server} {read:?}");
    };
    check("https://h/mcp", "https://h/mcp", true);
    check("https://h", "https://h/mcp", true);
    check("https://h/", "https://h/mcp/", true);
    check("https://h/mc", "https://h/mcp", false);
    check("https://h/mcp/deeper", "https://h/mcp", false);
    check("https://evil.example/mcp", "https://h/mcp", false);
    check("http://h/mcp", "https://h/mcp", false);
    check("no address", "https://h/mcp", false);
    let none = json!({ "resource": "https://h/mcp", "authorization_servers": [] });
    assert_eq!(
        ResourceDocument::read(&none, &url("https://h/mcp")).unwrap_err(),
        "names nobody in its metadata who gives out tokens (`authorization_servers`)"
    );
}

#[test]
fn an_issuer_speaks_for_itself_alone() {
    let check = |more: Value, issuer: &str, expected: &str| {
        let read = IssuerDocument::read(&document(&more), issuer);
        assert_eq!(read.err().unwrap_or_default(), expected, "{more}");
    };
    check(json!({}), "https://as.example", "");
    let not = "is described by a document of `https://as.example`, which is not believed";
    check(json!({}), "https://as.example/", not);
    check(json!({}), "HTTPS://as.example", not);
    check(
        json!({ "code_challenge_methods_supported": ["plain"] }),
        "https://as.example",
        "does not offer PKCE with S256, without which Station logs in nowhere",
    );
    check(
        json!({ "token_endpoint": null }),
        "https://as.example",
        "does not say where it is reached: `token_endpoint`",
    );
}

#[test]
fn scopes_are_those_that_are_needed_and_those_there_were() {
    let check = |written: &[&str],
                 challenged: &str,
                 offered: &[&str],
                 of_issuer: &[&str],
                 before: &str,
                 expected: &str| {
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let challenge = Challenge {
            scope: Some(challenged.to_owned()).filter(|it| !it.is_empty()),
            ..Challenge::default()
        };
        let resource = ResourceDocument {
            resource: "https://h".to_owned(),
            issuer: "https://as.example".to_owned(),
            scopes: texts(offered),
        };
        let issuer = issuer(&json!({ "scopes_supported": of_issuer }));
        let found = scope(&texts(written), &challenge, &resource, &issuer, Some(before));
        assert_eq!(found.unwrap_or_default(), expected, "{written:?} {challenged} {offered:?} {before}");
    };
    check(&[], "", &[], &[], "", "");
    check(&[], "", &[], &["offline_access"], "", "");
    check(&[], "", &["a", "b"], &[], "", "a b");
    check(&[], "c", &["a", "b"], &[], "", "c");
    check(&["w"], "c", &["a"], &[], "", "w c");
    check(&[], "write", &["a"], &[], "read", "read write");
    check(&[], "a", &[], &["a", "offline_access"], "a", "a offline_access");
}

#[test]
fn a_client_is_the_one_that_is_described_or_known_or_made() {
    let settings = |document: bool, id: bool| OauthSettings {
        client_metadata_url: document.then(|| "https://c.example/client.json".to_owned()),
        client_id: id.then(|| "by-hand".to_owned()),
        client_secret: id.then(|| Secret::new("s")),
        ..OauthSettings::default()
    };
    let kept = |redirect: &str| Client {
        id: "kept".to_owned(),
        secret: None,
        auth: ClientAuth::None,
        redirect: Some(redirect.to_owned()),
        scope: Some("read offline_access".to_owned()),
    };
    let here = "http://127.0.0.1:4711/callback";
    let check = |settings: &OauthSettings, kept: Option<Client>, more: Value, expected: &str| {
        let way = match client_way(settings, kept, &issuer(&more), here, Some("offline_access read")) {
            Ok(ClientWay::Known(client)) => format!("{} {}", client.id, client.auth.as_str()),
            Ok(ClientWay::Register) => "register".to_owned(),
            Err(words) => words.split(':').next().unwrap().to_owned(),
        };
        assert_eq!(way, expected, "{more}");
    };
    let documents = json!({ "client_id_metadata_document_supported": true });
    let registers = json!({ "registration_endpoint": "https://as.example/register" });
    check(&settings(true, true), None, documents.clone(), "https://c.example/client.json none");
    check(&settings(true, true), None, json!({}), "by-hand client_secret_basic");
    let post = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post", "none"] });
    check(&settings(false, true), None, post, "by-hand client_secret_post");
    check(&settings(false, false), Some(kept(here)), registers.clone(), "kept none");
    check(&settings(false, false), Some(kept("http://127.0.0.1:1/callback")), registers.clone(), "register");
    check(&settings(false, false), None, registers.clone(), "register");
    // One that was registered for less would be refused; of one of which nobody said for what, that is not known.
    let less = Client { scope: Some("read write".to_owned()), ..kept(here) };
    check(&settings(false, false), Some(less), registers.clone(), "register");
    check(&settings(false, false), Some(Client { scope: None, ..kept(here) }), registers, "kept none");
    check(&settings(true, false), None, json!({}), "takes no new clients by itself");
}

#[test]
fn a_registration_asks_for_as_little_as_it_may() {
    let check = |methods: Value, answered: Value, asked: &str, used: &str| {
        let issuer = issuer(&json!({ "token_endpoint_auth_methods_supported": methods }));
        let body = registration(&issuer, "http://127.0.0.1:1/callback", None);
        assert_eq!(body["token_endpoint_auth_method"], asked);
        assert_eq!((&body["application_type"], &body["scope"]), (&json!("native"), &Value::Null));
        let client = registered(&answered, &issuer, "http://127.0.0.1:1/callback", None).unwrap();
        assert_eq!(client.auth.as_str(), used, "{answered}");
    };
    check(json!([]), json!({ "client_id": "c" }), "none", "none");
    check(json!([]), json!({ "client_id": "c", "client_secret": "s" }), "none", "client_secret_basic");
    check(
        json!(["client_secret_basic", "none"]),
        json!({ "client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "none" }),
        "none",
        "none",
    );
    check(
        json!(["client_secret_post"]),
        json!({ "client_id": "c", "client_secret": "s" }),
        "client_secret_post",
        "client_secret_post",
    );
}

#[test]
fn an_answer_is_taken_from_the_one_who_was_asked() {
    let check = |text: &str, names_itself: bool, expected: Result<&str, &str>| {
        let issuer = issuer(&json!({ "authorization_response_iss_parameter_supported": names_itself }));
        let found = code_of(text, "st", &issuer);
        match expected {
            Ok(code) => assert_eq!(found.unwrap().expose(), code, "{text}"),
            Err(words) => {
                let told = found.unwrap_err();
                assert!(told.contains(words), "{text}: {told}");
            }
        }
    };
    let iss = "iss=https%3A%2F%2Fas.example";
    check("http://127.0.0.1:1/callback?code=c%2B1&state=st", false, Ok("c+1"));
    check(&format!("/callback?code=c&state=st&{iss}"), true, Ok("c"));
    check(&format!("code=c&state=st&{iss}#x"), false, Err("came from"));
    check(&format!("/callback?code=c&state=st&{iss}%2F"), false, Err("came from `https://as.example/`"));
    check("/callback?code=c&state=st&iss=https%3A%2F%2Fevil.example", false, Err("came from"));
    check("/callback?code=c&state=st", true, Err("does not say that it is from"));
    check("/callback?code=c&state=other", false, Err("belongs to another login"));
    check("/callback?code=c", false, Err("belongs to another login"));
    check(
        "/callback?error=access_denied&error_description=no%0Away&state=st",
        false,
        Err("was refused with `access_denied`: noway"),
    );
    check("/callback?state=st", false, Err("holds no code"));
    check("  just-a-code\n", false, Ok("just-a-code"));
    check("just-a-code", true, Err("give the whole address"));
    check(" ", false, Err("nothing came back"));
}

#[test]
fn tokens_are_read_or_refused() {
    let check = |body: Value, expected: &str| {
        let read = TokenAnswer::read(&body).map(|it| format!("{:?} {:?}", it.expires_in_s, it.scope));
        assert_eq!(read.unwrap_or_else(|words| words), expected, "{body}");
    };
    check(json!({ "access_token": "t", "token_type": "bearer", "expires_in": 5 }), "Some(5) None");
    check(json!({ "access_token": "t", "expires_in": "60", "scope": "a" }), "Some(60) Some(\"a\")");
    check(
        json!({ "access_token": "t", "token_type": "DPoP" }),
        "gave out a token of the type `DPoP`, which Station cannot show",
    );
    check(json!({ "access_token": "t\n" }), "gave out a token that no header can carry");
    check(json!({ "access_token": "" }), "gave out no token");
}

#[test]
fn a_login_is_renewed_before_its_end() {
    let login = |refresh: bool, expires_at: Option<i64>| Login {
        url: "https://h/mcp".to_owned(),
        issuer: "https://as.example".to_owned(),
        resource: "https://h/mcp".to_owned(),
        token_endpoint: "https://as.example/token".to_owned(),
        revocation_endpoint: None,
        client: Client {
            id: "c".to_owned(),
            secret: None,
            auth: ClientAuth::None,
            redirect: None,
            scope: None,
        },
        access: Secret::new("old"),
        refresh: refresh.then(|| Secret::new("again")),
        scope: None,
        expires_at: expires_at.map(Micros),
    };
    let now = Micros(1_000_000_000);
    for (refresh, expires_at, expected) in [
        (true, Some(now.0 + 61_000_000), Standing::Good),
        (true, Some(now.0 + 60_000_000), Standing::Due),
        (true, Some(now.0 - 1), Standing::Due),
        (true, None, Standing::Good),
        (false, Some(now.0 + 1), Standing::Good),
        (false, Some(now.0), Standing::Over),
        (false, None, Standing::Good),
    ] {
        assert_eq!(login(refresh, expires_at).standing(now), expected, "{refresh} {expires_at:?}");
    }
    let answer = TokenAnswer::read(&json!({ "access_token": "new", "expires_in": 3600 })).unwrap();
    let renewed = login(true, None).renewed(answer, now);
    assert_eq!((renewed.access.expose(), renewed.refresh.unwrap().expose()), ("new", "again"));
    assert_eq!(renewed.expires_at, Some(Micros(now.0 + 3_600_000_000)));
}

#[test]
fn a_person_logs_in_by_the_way_that_is_there() {
    use LoginWay::{Browser, Device, Paste};
    for (asked, has_browser, has_device, expected) in [
        (None, true, true, Ok(Browser)),
        (None, false, true, Ok(Device)),
        (None, false, false, Ok(Paste)),
        (Some(Paste), true, true, Ok(Paste)),
        (Some(Browser), false, false, Ok(Browser)),
        (Some(Device), true, true, Ok(Device)),
        (Some(Device), true, false, Err(())),
    ] {
        assert_eq!(login_way(asked, has_browser, has_device).map_err(drop), expected, "{asked:?}");
    }
}
