//! The demo site's photographs: landscapes that nobody took, the same on every machine. They are as large, and
//! compress as badly, as photographs on real sites.

use anyhow::Result;
use jpeg_encoder::{ColorType, Encoder};

/// JPEG quality, from 1 to 100.
const QUALITY: u8 = 82;

/// A landscape: a sky, a sun, and ridges one behind the other.
pub(crate) struct Scene {
    /// Width in pixels; the height is two thirds of it.
    pub(crate) width: u16,
    /// What makes its ridges different from those of others.
    pub(crate) seed: u32,
    /// The sky's colours at the top and at the horizon, and that of the nearest ridge.
    pub(crate) colours: [Colour; 3],
    /// How strong the grain is, in steps of 255.
    pub(crate) grain: f32,
}

/// Red, green and blue, from 0 to 255.
pub(crate) type Colour = [f32; 3];

/// Ridges in a picture.
const RIDGES: u32 = 6;

/// The picture as a JPEG file.
pub(crate) fn jpeg(scene: &Scene) -> Result<Vec<u8>> {
    let (width, height) = (scene.width, scene.width / 3 * 2);
    let mut file = Vec::new();
    Encoder::new(&mut file, QUALITY).encode(
        &pixels(scene, width.into(), height.into()),
        width,
        height,
        ColorType::Rgb,
    )?;
    Ok(file)
}

fn pixels(scene: &Scene, width: u32, height: u32) -> Vec<u8> {
    let [top, horizon, near] = scene.colours;
    let ridges: Vec<Vec<f32>> = (0..RIDGES)
        .map(|ridge| {
            (0..width).map(|x| ridge_height(scene.seed + ridge, ridge, x as f32 / width as f32)).collect()
        })
        .collect();
    let sun = [0.2 + 0.6 * random(scene.seed, 1), 0.2 + 0.2 * random(scene.seed, 2)];
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        let down = y as f32 / height as f32;
        for x in 0..width {
            let front = (0..RIDGES as usize).rev().find(|ridge| down > ridges[*ridge][x as usize]);
            let colour = match front {
                None => {
                    let (dx, dy) = (x as f32 / width as f32 - sun[0], (down - sun[1]) * 0.67);
                    let glow = (-(dx * dx + dy * dy) * 60.0).exp();
                    mix(mix(top, horizon, down * 1.6), [255.0, 246.0, 220.0], glow)
                }
                // Air makes what is far pale.
                Some(ridge) => {
                    let depth = down - ridges[ridge][x as usize];
                    mix(horizon, near, (ridge as f32 + 1.0) / RIDGES as f32 + depth * 0.4)
                }
            };
            let grain = (random(scene.seed ^ (y * width + x), 3) - 0.5) * scene.grain;
            pixels.extend(colour.map(|part| (part + grain).clamp(0.0, 255.0) as u8));
        }
    }
    pixels
}

/// Where a ridge's line runs, from 0 at the top to 1 at the bottom.
fn ridge_height(seed: u32, ridge: u32, x: f32) -> f32 {
    let mut height = 0.40 + 0.10 * ridge as f32;
    let (mut frequency, mut amplitude) = (2.0, 0.12);
    for octave in 0..7 {
        height -= amplitude * (smooth_noise(seed * 31 + octave, x * frequency) - 0.4);
        frequency *= 2.1;
        amplitude *= 0.48;
    }
    height
}

fn smooth_noise(seed: u32, at: f32) -> f32 {
    let (whole, part) = (at.floor(), at.fract());
    let eased = part * part * (3.0 - 2.0 * part);
    let (left, right) = (random(seed, whole as u32), random(seed, whole as u32 + 1));
    left + (right - left) * eased
}

/// A number from 0 to 1 that two others stand for.
fn random(seed: u32, index: u32) -> f32 {
    let mut bits = seed.wrapping_mul(0x9e37_79b9) ^ index.wrapping_mul(0x85eb_ca6b);
    bits = (bits ^ (bits >> 16)).wrapping_mul(0x7feb_352d);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x846c_a68b);
    (bits ^ (bits >> 16)) as f32 / u32::MAX as f32
}

fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|part| from[part] + (to[part] - from[part]) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_the_same_every_time_and_weighs_what_photographs_weigh() {
        let colours = [[60.0, 110.0, 180.0], [250.0, 220.0, 190.0], [30.0, 50.0, 40.0]];
        let scene = Scene { width: 900, seed: 5, colours, grain: 24.0 };
        let file = jpeg(&scene).unwrap();
        assert_eq!(file, jpeg(&scene).unwrap());
        assert!((50_000..400_000).contains(&file.len()), "{}", file.len());
    }
}
