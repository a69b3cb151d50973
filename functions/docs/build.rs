//! Takes the few files of Swagger UI that the page needs out of the archive that has them all.

use std::error::Error;
use std::io::{Cursor, Read};
use std::path::Path;
use std::{env, fs};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{CompressionMethod, ZipArchive};

/// Left out are the top bar, the icons, and what is for bundlers.
const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

/// A gzip member's header: deflate, no name, no time, unknown system (RFC 1952 §2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR")?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in FILES {
        let end = format!("/dist/{name}");
        let path = archive.file_names_raw().find(|path| path.ends_with(end.as_bytes())).map(<[u8]>::to_vec);
        let path = path.ok_or_else(|| format!("Swagger UI has no {name}"))?;
        // As the archive has it: deflated, which is what stands in gzip between a header and a trailer.
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
