//! The text of an export, in whatever encoding a tool wrote it. Pure.

use std::borrow::Cow;

use encoding_rs::{Encoding, WINDOWS_1252};

/// How workbooks begin: a ZIP archive (.xlsx, .ods), and the compound file of older ones (.xls).
const WORKBOOKS: [&[u8]; 2] = [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"];

/// UTF-8 and UTF-16 by their byte order mark; without one UTF-8, and what is not that is Windows-1252, as older tools write.
///
/// # Errors
/// It is no text. The sentence continues the name of the file.
pub(super) fn decode_export(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    if WORKBOOKS.iter().any(|magic| bytes.starts_with(magic)) {
        return Err("is a workbook or an archive, not text. Save it as CSV.".to_owned());
    }
    let text = match (Encoding::for_bom(bytes), std::str::from_utf8(bytes)) {
        (Some((encoding, mark)), _) => encoding.decode_without_bom_handling(&bytes[mark..]).0,
        (None, Ok(text)) => text.into(),
        (None, Err(_)) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    };
    match text.contains('\0') {
        true => Err("holds NUL characters, so it is no text. UTF-16 needs a byte order mark.".to_owned()),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(bytes_of).collect()
    }

    #[test]
    fn every_usual_encoding_gives_the_same_text() {
        let text = "Zoë;Ōno\r\n";
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            utf16(text, u16::to_le_bytes),
            utf16(text, u16::to_be_bytes),
        ] {
            assert_eq!(decode_export(&bytes).as_deref(), Ok(text), "{bytes:?}");
        }
        assert_eq!(decode_export(b"Zo\xeb;\x80\n").as_deref(), Ok("Zoë;€\n"));
        assert_eq!(decode_export(b"").as_deref(), Ok(""));
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert!(decode_export(b"PK\x03\x04\x14\0").is_err_and(|e| e.contains("workbook")));
        assert!(decode_export(b"a\0b\0").is_err_and(|e| e.contains("NUL")));
        // Half a character and a lone surrogate are no reason to stop.
        assert_eq!(decode_export(b"\xff\xfea\0\x00\xd8b").as_deref(), Ok("a\u{fffd}"));
    }
}
