//! Pictures, decoded and encoded again: nothing of the file comes in but its pixels.
//!
//! What must hold: names of cameras, places, earlier versions and whatever was hung behind the picture are gone. The
//! way it was held is metadata too, so the picture is turned first. Size is judged by the head, before anything is
//! unpacked.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{Emit, Item};
use crate::base::{Error, Result, limits};

/// Quality of JPEG: what an office scanner uses.
const QUALITY: u8 = 85;

/// Reads a picture and says the bytes of a PNG or JPEG.
///
/// # Errors
/// `Invalid` when it is none of the formats read, is damaged, or is too large.
pub(super) fn read(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let (picture, format) = open(bytes)?;
    send(&encode(&picture, format)?, emit)
}

/// A picture out of another file, bounded and turned as every other.
pub(super) fn decoded(bytes: &[u8]) -> Result<DynamicImage> {
    Ok(open(bytes)?.0)
}

/// Says a picture that was drawn already, without any loss.
pub(super) fn say(picture: DynamicImage, emit: Emit<'_>) -> Result<()> {
    send(&encode(&bounded(picture), ImageFormat::Png)?, emit)
}

fn open(bytes: &[u8]) -> Result<(DynamicImage, ImageFormat)> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(damaged)?;
    let format = reader.format().ok_or_else(|| damaged("no known format"))?;
    let mut bounds = Limits::default();
    bounds.max_alloc = Some(limits::PICTURE_MEMORY_BYTES);
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits::PICTURE_PIXELS {
        return Err(Error::invalid(format!(
            "图片为 {width}×{height} 像素，超过 4000 万像素。请缩小后再试。"
        )));
    }
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    picture.apply_orientation(turned);
    Ok((bounded(picture), format))
}

fn bounded(picture: DynamicImage) -> DynamicImage {
    if picture.width() > limits::PICTURE_WIDTH {
        return picture.resize(limits::PICTURE_WIDTH, u32::MAX, FilterType::Triangle);
    }
    picture
}

fn send(encoded: &[u8], emit: Emit<'_>) -> Result<()> {
    encoded.chunks(limits::PICTURE_PIECE_BYTES).try_for_each(|piece| emit(Item::Bytes(piece.to_vec())))
}

/// Photographs stay JPEG, everything else is PNG.
fn encode(picture: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let photograph = matches!(format, ImageFormat::Jpeg | ImageFormat::WebP) && !picture.color().has_alpha();
    if photograph {
        let plain = DynamicImage::ImageRgb8(picture.to_rgb8());
        plain.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY)).map_err(damaged)?;
        return Ok(bytes);
    }
    let plain = match (picture.color().has_alpha(), picture.color().has_color()) {
        (true, _) => DynamicImage::ImageRgba8(picture.to_rgba8()),
        (false, true) => DynamicImage::ImageRgb8(picture.to_rgb8()),
        (false, false) => DynamicImage::ImageLuma8(picture.to_luma8()),
    };
    plain.write_with_encoder(PngEncoder::new(&mut bytes)).map_err(damaged)?;
    Ok(bytes)
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::invalid("图片已损坏或格式不支持。请另存为 PNG 或 JPEG 后再试。").with_detail(why)
}
