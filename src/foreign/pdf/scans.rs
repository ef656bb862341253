//! Pages of a PDF that are pictures and nothing else: the largest picture of each, drawn anew.
//!
//! What must hold: a picture is bounded before it is unpacked; one that cannot be read takes no other along.

use image::{DynamicImage, GrayImage, RgbImage};
use lopdf::xobject::PdfImage;
use lopdf::{Dictionary, Document, Object};

use super::{Scan, open, page_name};
use crate::base::{Result, limits};
use crate::foreign::{Emit, Item, picture};

/// Says the picture of each page that has no text.
///
/// # Errors
/// `Invalid` when it is no PDF, is damaged or sealed.
pub(in crate::foreign) fn read(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let document = open(bytes)?;
    let mut scan = Scan::of(&document);
    for (number, page) in (1..).zip(document.page_iter().take(limits::PDF_PAGES)) {
        if scan.page(page).is_ok_and(|runs| runs.iter().any(|r| !r.text.trim().is_empty())) {
            continue;
        }
        let images = document.get_page_images(page).unwrap_or_default();
        let largest = images.iter().max_by_key(|i| i.width.saturating_mul(i.height));
        let Some(drawn) = largest.and_then(|image| drawn(&document, image)) else { continue };
        emit(Item::Part(page_name(number)))?;
        picture::say(drawn, emit)?;
    }
    Ok(())
}

/// The picture; `None` for what is none that is known.
fn drawn(document: &Document, image: &PdfImage<'_>) -> Option<DynamicImage> {
    let (width, height) = (u32::try_from(image.width).ok()?, u32::try_from(image.height).ok()?);
    if width == 0 || u64::from(width) * u64::from(height) > limits::PICTURE_PIXELS {
        return None;
    }
    match image.filters.as_deref()? {
        [filter] if filter == "DCTDecode" => picture::decoded(image.content).ok(),
        [filter] if filter == "CCITTFaxDecode" => faxed(document, image, (width, height)),
        [] => pixels(image.content, (width, height), image.bits_per_component),
        _ => {
            let stream = document.get_object(image.id).ok()?.as_stream().ok()?;
            let plain = stream.get_plain_content_with_limit(limits::PDF_STREAM_BYTES).ok()?;
            pixels(&plain, (width, height), image.bits_per_component)
        }
    }
}

/// Bytes that are pixels: grey or red, green and blue, or eight of black and white in one.
fn pixels(bytes: &[u8], (width, height): (u32, u32), bits: Option<i64>) -> Option<DynamicImage> {
    let count = usize::try_from(u64::from(width) * u64::from(height)).ok()?;
    match bits {
        Some(1) => {
            let row = width.div_ceil(8) as usize;
            let rows = bytes.chunks_exact(row).take(height as usize);
            let lit = |row: &[u8], x: u32| row[x as usize / 8] >> (7 - x % 8) & 1;
            let grey: Vec<u8> = rows.flat_map(|r| (0..width).map(move |x| lit(r, x) * 255)).collect();
            GrayImage::from_raw(width, height, grey).map(DynamicImage::ImageLuma8)
        }
        Some(8) if bytes.len() >= count * 3 => {
            RgbImage::from_raw(width, height, bytes[..count * 3].to_vec()).map(DynamicImage::ImageRgb8)
        }
        Some(8) if bytes.len() >= count => {
            GrayImage::from_raw(width, height, bytes[..count].to_vec()).map(DynamicImage::ImageLuma8)
        }
        _ => None,
    }
}

/// A fax of group 4, read as what it is in a TIFF.
fn faxed(document: &Document, image: &PdfImage<'_>, (width, height): (u32, u32)) -> Option<DynamicImage> {
    let told: Option<&Dictionary> = match image.origin_dict.get_deref(b"DecodeParms", document).ok()? {
        Object::Array(all) => all.first()?.as_dict().ok(),
        one => one.as_dict().ok(),
    };
    let told = told?;
    if told.get(b"K").and_then(Object::as_i64).unwrap_or(0) >= 0 {
        return None;
    }
    let inverted = told.get(b"BlackIs1").and_then(Object::as_bool).unwrap_or(false);
    let length = u32::try_from(image.content.len()).ok()?;
    // Width, height, bits, compression, what is white, where the strip begins, samples, rows of it, its bytes.
    let entries: [(u16, u32); 9] = [
        (256, width),
        (257, height),
        (258, 1),
        (259, 4),
        (262, u32::from(inverted)),
        (273, 8 + 2 + 9 * 12 + 4),
        (277, 1),
        (278, height),
        (279, length),
    ];
    let mut tiff = b"II*\0\x08\0\0\0\x09\0".to_vec();
    for (tag, value) in entries {
        tiff.extend(tag.to_le_bytes());
        tiff.extend([4, 0, 1, 0, 0, 0]);
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend([0; 4]);
    tiff.extend(image.content);
    picture::decoded(&tiff).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageFormat;

    use super::*;

    /// A PDF with a page for each picture: its dictionary and its bytes.
    fn pdf(pictures: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let kids: Vec<String> = (0..pictures.len()).map(|n| format!("{} 0 R", n * 2 + 3)).collect();
        let mut out = format!(
            "%PDF-1.4\n1 0 obj\n<</Type /Catalog /Pages 2 0 R>>\nendobj\n2 0 obj\n\
            <</Type /Pages /Count {} /Kids [{}]>>\nendobj\n",
            pictures.len(),
            kids.join(" ")
        )
        .into_bytes();
        for (n, (about, bytes)) in pictures.iter().enumerate() {
            let (page, image) = (n * 2 + 3, n * 2 + 4);
            let head = format!(
                "{page} 0 obj\n<</Type /Page /Parent 2 0 R /Resources <</XObject <</A {image} 0 R>>>>>>\nendobj\n\
                {image} 0 obj\n<</Subtype /Image {about} /Length {}>> stream\n",
                bytes.len()
            );
            out.extend(head.bytes());
            out.extend(bytes);
            out.extend(b"\nendstream\nendobj\n");
        }
        let size = pictures.len() * 2 + 3;
        out.extend(format!("trailer\n<</Root 1 0 R /Size {size}>>\nstartxref\n0\n%%EOF\n").bytes());
        out
    }

    #[test]
    fn pages_that_are_pictures_are_drawn_each_with_its_number() {
        let mut jpeg = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(5, 4).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        // Group 4: a white line of eight is one bit, its end twelve and twelve.
        let fax = vec![0b1000_0000, 0b0000_1000, 0b0000_0001, 0];
        let bytes = pdf(&[
            ("/Width 5 /Height 4 /Filter /DCTDecode", jpeg.into_inner()),
            ("/Width 3 /Height 2 /BitsPerComponent 8", vec![7; 18]),
            ("/Width 9 /Height 2 /BitsPerComponent 1", vec![0xFF, 0x80, 0, 0]),
            ("/Width 3 /Height 2 /BitsPerComponent 8 /Filter /JBIG2Decode", vec![0; 6]),
            ("/Width 8 /Height 1 /Filter /CCITTFaxDecode /DecodeParms <</K -1 /Columns 8>>", fax),
            ("/Width 90000 /Height 90000 /BitsPerComponent 1", vec![0; 6]),
        ]);
        let mut said = Vec::new();
        read(&bytes, &mut |item| {
            match item {
                Item::Part(name) => said.push((name, Vec::new())),
                Item::Bytes(piece) => said.last_mut().unwrap().1.extend(piece),
                _ => {}
            }
            Ok(())
        })
        .unwrap();
        let sizes: Vec<_> = said
            .iter()
            .map(|(name, bytes)| {
                let picture = image::load_from_memory(bytes).unwrap();
                (name.as_str(), picture.width(), picture.height())
            })
            .collect();
        assert_eq!(sizes, [("第 1 页", 5, 4), ("第 2 页", 3, 2), ("第 3 页", 9, 2), ("第 5 页", 8, 1)]);
    }
}
