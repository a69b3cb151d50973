//! Extracts the files of Swagger UI that the page needs.

use std::error::Error;
use std::io::{Cursor, Read};
use std::path::Path;
use std::{env, fs};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{CompressionMethod, ZipArchive};

/// The top bar, the icons and the files for bundlers are not needed.
const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

/// Header of a gzip member: deflate, no name, no time, unknown system (RFC 1952 §2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR")?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in FILES {
        let end = format!("/dist/{name}");
        let path = archive.file_names_raw().find(|path| path.ends_with(end.as_bytes())).map(<[u8]>::to_vec);
        let path = path.ok_or_else(|| format!("Swagger UI has no {name}"))?;
        // The archive holds deflated data, which is the body of a gzip member.
        let mut file = archive.by_name_raw(&path)?;
        if file.compression() != CompressionMethod::DEFLATE {
            return Err(format!("{name} is not deflated").into());
        }
        let mut gzip = Vec::from(HEADER);
        file.read_to_end(&mut gzip)?;
        gzip.extend(file.crc32().to_le_bytes());
        gzip.extend(u32::try_from(file.size())?.to_le_bytes());
        fs::write(Path::new(&out).join(format!("{name}.gz")), gzip)?;
    }
    Ok(())
}
