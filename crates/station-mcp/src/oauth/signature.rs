//! Whether a signature holds: ring's answer, for keys as issuers publish them.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use station_core::oauth::Numbers;

/// Bytes of a coordinate on P-256.
const COORDINATE_BYTES: usize = 32;

/// Whether the owner of a key has signed `signed`. RSA keys have 2,048 bits at least.
pub(super) fn holds(key: &Numbers, signed: &[u8], signature: &[u8]) -> bool {
    let bytes = |text: &String| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
    let held = match key {
        Numbers::Rsa { n, e } => bytes(n).zip(bytes(e)).map(|(n, e)| {
            // As a number: some write a zero before it.
            let start = n.iter().position(|byte| *byte != 0).unwrap_or_default();
            RsaPublicKeyComponents { n: &n[start..], e: &e[..] }
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
                .is_ok()
        }),
        Numbers::P256 { x, y } => bytes(x)
            .zip(bytes(y))
            .filter(|(x, y)| x.len() == COORDINATE_BYTES && y.len() == COORDINATE_BYTES)
            // An uncompressed point (SEC 1, section 2.3.3).
            .map(|(x, y)| [&[4][..], &x, &y].concat())
            .map(|point| {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature).is_ok()
            }),
        Numbers::Ed25519 { x } => {
            bytes(x).map(|point| UnparsedPublicKey::new(&ED25519, point).verify(signed, signature).is_ok())
        }
    };
    held.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key and a token of an RFC: it holds, and nothing that is a little different does.
    #[track_caller]
    fn check(key: &Numbers, token: &str) {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(holds(key, signed.as_bytes(), &signature));
        let (mut other, mut wrong) = (signed.as_bytes().to_vec(), signature.clone());
        other[5] ^= 1;
        wrong[7] ^= 1;
        assert!(!holds(key, &other, &signature));
        assert!(!holds(key, signed.as_bytes(), &wrong));
        assert!(!holds(key, signed.as_bytes(), &signature[1..]));
        assert!(!holds(key, signed.as_bytes(), &[]));
    }

    #[test]
    fn rs256_as_in_rfc_7515() {
        let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR\
            T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665\
            xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
            cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAyn\
            RFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv\
            Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        check(&Numbers::Rsa { n: n.to_owned(), e: "AQAB".to_owned() }, token);
    }

    #[test]
    fn es256_as_in_rfc_7515() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
            DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU".to_owned();
        let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0".to_owned();
        check(&Numbers::P256 { x: x.clone(), y: y.clone() }, token);
        assert!(!holds(&Numbers::P256 { x, y: "AAAA".to_owned() }, b"a", b"b"));
    }

    #[test]
    fn eddsa_as_in_rfc_8037() {
        let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
            hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        check(&Numbers::Ed25519 { x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned() }, token);
    }

    #[test]
    fn what_is_no_key_has_signed_nothing() {
        for text in ["", "AA", "not base64url!", "AAAA=="] {
            let text = || text.to_owned();
            assert!(!holds(&Numbers::Rsa { n: text(), e: text() }, b"a", b"b"));
            assert!(!holds(&Numbers::P256 { x: text(), y: text() }, b"a", b"b"));
            assert!(!holds(&Numbers::Ed25519 { x: text() }, b"a", b"b"));
        }
    }
}
