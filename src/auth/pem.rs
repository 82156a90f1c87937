//! Text with PEM blocks in it, read as leniently as OpenSSL does: anything may stand before, between and after them, lines
//! have any length and end, and a variable may hold `\\n` where a file has line ends.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;

/// What stands between `-----BEGIN LABEL-----` and `-----END LABEL-----`.
#[derive(Debug)]
pub(super) struct Block {
    label: String,
    /// Whether header lines say that the content is encrypted (RFC 1421).
    encrypted: bool,
    /// The content; `None` where it is not base64.
    der: Option<Vec<u8>>,
}

/// All blocks in their order.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    // A variable holds a key on one line, with the two characters `\` and `n` for each line end.
    let text = text.replace("\\r", "\r").replace("\\n", "\n");
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((label, after)) = mark(rest, "BEGIN") {
        let end = format!("-----END {label}-----");
        // A block that was cut off hides none of those that follow.
        let whole = after.split_once(&end).filter(|(content, _)| !content.contains("-----BEGIN "));
        let Some((content, behind)) = whole else {
            rest = after;
            continue;
        };
        // `Proc-Type: 4,ENCRYPTED` stands between the mark and the content, which is then not plain base64.
        let encrypted = content.contains("ENCRYPTED");
        let base64: String = content.chars().filter(|c| !c.is_whitespace()).collect();
        found.push(Block { label: label.to_owned(), encrypted, der: STANDARD.decode(base64).ok() });
        rest = behind;
    }
    found
}

/// The label of the next mark of this kind, and what stands after it.
fn mark<'a>(text: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
    let (_, after) = text.split_once(&format!("-----{kind} "))?;
    after.split_once("-----")
}

impl Block {
    /// The RSA private key, or what the block holds instead, for people.
    pub fn private_key(&self) -> Result<PrivateKey, String> {
        if self.encrypted || self.label == "ENCRYPTED PRIVATE KEY" {
            return Err("an encrypted private key (openssl pkey -in FILE decrypts it)".to_owned());
        }
        let other = match self.label.as_str() {
            "PRIVATE KEY" | "RSA PRIVATE KEY" => None,
            "CERTIFICATE" => Some("a certificate"),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Some("a public key"),
            "EC PRIVATE KEY" | "EC PARAMETERS" => Some("an elliptic-curve key"),
            "OPENSSH PRIVATE KEY" => {
                Some("a key in OpenSSH's own form (ssh-keygen -p -m PEM -f FILE converts it)")
            }
            _ => return Err(format!("a block \"{}\"", self.label)),
        };
        if let Some(other) = other {
            return Err(other.to_owned());
        }
        let der = self.der.as_deref().ok_or_else(|| "a private key that is not base64".to_owned())?;
        // The label does not decide which of the two forms is read.
        PrivateKey::from_pkcs8_der(der)
            .or_else(|_| PrivateKey::from_pkcs1_der(der))
            .map_err(|_| "a private key that is not of RSA".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use rsa::pkcs1::{EncodeRsaPrivateKey, EncodeRsaPublicKey, LineEnding};
    use rsa::pkcs8::EncodePrivateKey;

    use super::*;

    fn key() -> PrivateKey {
        // Too short to be used, and so made quickly: here it only has to be read.
        PrivateKey::new(&mut rand::rng(), 1024).expect("the system has randomness")
    }

    /// What is said of the first block, which does not hold a key.
    fn says(text: &str) -> String {
        first(text).expect_err("is not a key")
    }

    /// A block of three zero bytes.
    fn block(label: &str) -> String {
        format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n")
    }

    fn first(text: &str) -> Result<PrivateKey, String> {
        blocks(text).first().map_or_else(|| Err("none".to_owned()), Block::private_key)
    }

    #[test]
    fn a_key_is_read_in_every_form_that_openssl_reads() {
        let key = key();
        let pkcs8 = key.to_pkcs8_pem(LineEnding::LF).expect("encodes").to_string();
        let pkcs1 = key.to_pkcs1_pem(LineEnding::LF).expect("encodes").to_string();
        for pem in [pkcs8, pkcs1] {
            let (begin, rest) = pem.trim().split_once('\n').expect("has lines");
            let (content, end) = rest.rsplit_once('\n').expect("has lines");
            let folded: String = content
                .replace('\n', "")
                .as_bytes()
                .chunks(20)
                .map(|c| String::from_utf8_lossy(c) + "\n")
                .collect();
            for text in [
                pem.clone(),
                format!("{pem}\n\n"),
                format!("{} ", pem.trim_end()),
                pem.replace('\n', "\r\n"),
                format!("\u{feff}{pem}"),
                pem.replace('\n', " \n"),
                pem.replace('\n', "\\n"),
                format!("{begin}\n{}\n{end}", content.replace('\n', "")),
                format!("{begin}\n{folded}{end}"),
                format!("Bag Attributes\n    friendlyName: me\n{pem}"),
                // A block that was cut off stands before the key.
                format!("-----BEGIN CERTIFICATE-----\nAAAA\n{pem}"),
                format!("{begin}\nAAAA\n{pem}"),
            ] {
                assert!(first(&text).is_ok_and(|read| read == key), "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_not_such_a_key_is_named() {
        assert_eq!(says(&block("CERTIFICATE")), "a certificate");
        assert_eq!(says(&block("EC PRIVATE KEY")), "an elliptic-curve key");
        assert!(says(&block("ENCRYPTED PRIVATE KEY")).starts_with("an encrypted private key"));
        let legacy =
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----";
        assert!(says(legacy).starts_with("an encrypted private key"));
        let public = key().to_public_key().to_pkcs1_pem(LineEnding::LF).expect("encodes");
        assert_eq!(says(&public), "a public key");
        assert_eq!(says(&block("PRIVATE KEY")), "a private key that is not of RSA");
        assert_eq!(
            says("-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----"),
            "a private key that is not base64"
        );
        assert_eq!(says("-----BEGIN PRIVATE KEY-----\nAAAA"), "none");
        assert_eq!(says(&block("X509 CRL")), "a block \"X509 CRL\"");
    }
}
