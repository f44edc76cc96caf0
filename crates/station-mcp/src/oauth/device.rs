//! A code that is typed in on another device (RFC 8628).

use super::Web;
use super::grant::{fault, post, refused, tokens};
use station_core::Secret;
use station_core::oauth::{Client, IssuerDocument, ResourceDocument, TokenAnswer};
use std::time::Duration;
use tokio::time::Instant;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// How often is asked where the issuer does not say (section 3.5), and how much seldomer after each `slow_down`.
const EVERY_S: u64 = 5;

/// Longest time that is waited for a person, whatever the issuer says.
const WAIT_S_MAX: u64 = 1800;

/// A login that a person agrees to elsewhere.
#[derive(Debug)]
pub struct Device {
    /// What they type.
    pub user_code: String,
    /// Where.
    pub address: String,
    /// The same with the code in it, where there is such.
    pub complete: Option<String>,
    device_code: Secret,
    every: Duration,
    until: Instant,
}

/// Asks for a code.
///
/// # Errors
/// Why there is none, as a sentence.
pub async fn ask_device(
    web: &Web,
    issuer: &IssuerDocument,
    client: &Client,
    resource: &ResourceDocument,
    scope: Option<&str>,
) -> Result<Device, String> {
    let Some(place) = &issuer.device else { return Err("it gives out no codes for devices".to_owned()) };
    let mut fields = vec![("resource", resource.resource.as_str())];
    fields.extend(scope.map(|scope| ("scope", scope)));
    let answer = post(web, place, client, &fields).await?;
    if !answer.status.is_success() {
        return Err(refused(issuer, "gave out no code", &answer, &[]));
    }
    let text = |key: &str| answer.body[key].as_str().map(str::to_owned);
    let (Some(user_code), Some(address), Some(code)) =
        (text("user_code"), text("verification_uri"), text("device_code"))
    else {
        return Err(format!("issuer `{}` gave out half a code", issuer.issuer));
    };
    let seconds = |key: &str, default: u64| answer.body[key].as_u64().unwrap_or(default);
    Ok(Device {
        user_code,
        address,
        complete: text("verification_uri_complete"),
        device_code: Secret::new(code),
        every: Duration::from_secs(seconds("interval", EVERY_S)),
        until: Instant::now() + Duration::from_secs(seconds("expires_in", WAIT_S_MAX).min(WAIT_S_MAX)),
    })
}

/// Waits until the person has agreed.
///
/// # Errors
/// That they did not, as a sentence.
pub async fn wait_device(
    web: &Web,
    issuer: &IssuerDocument,
    client: &Client,
    mut device: Device,
    resource: &ResourceDocument,
) -> Result<TokenAnswer, String> {
    while Instant::now() < device.until {
        tokio::time::sleep(device.every).await;
        let fields = [
            ("grant_type", GRANT),
            ("device_code", device.device_code.expose()),
            ("resource", &resource.resource),
        ];
        let answer = post(web, &issuer.token, client, &fields).await?;
        match fault(&answer).map(|fault| fault.code).as_deref() {
            Some("authorization_pending") => {}
            Some("slow_down") => device.every += Duration::from_secs(EVERY_S),
            _ => return tokens(issuer, &answer, &[device.device_code.expose()]),
        }
    }
    Err("nobody agreed in the time there was: try again".to_owned())
}
