//! By which way a person logs in.

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginWay {
    /// A browser on this machine, which comes back to it.
    Browser,
    /// A code that is typed in on another device (RFC 8628).
    Device,
    /// An address that is opened anywhere; what the browser is sent to is typed in here.
    Paste,
}

/// The way: the one that was `asked` for, else the one that needs least of the person who is here.
///
/// # Errors
/// Where what was asked for cannot be: as the rest of a sentence that begins with the issuer's name.
pub fn login_way(asked: Option<LoginWay>, has_browser: bool, has_device: bool) -> Result<LoginWay, String> {
    match asked {
        Some(LoginWay::Device) if !has_device => {
            Err("gives out no codes for other devices (RFC 8628): try `--paste`".to_owned())
        }
        Some(way) => Ok(way),
        None if has_browser => Ok(LoginWay::Browser),
        None if has_device => Ok(LoginWay::Device),
        None => Ok(LoginWay::Paste),
    }
}
