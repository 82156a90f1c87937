//! Networks that have a name, with the source of their figures.

use super::rate::BitRate;

/// A network that has a name.
pub(super) struct Preset {
    /// What users type.
    pub name: &'static str,
    /// Round trip, ms.
    pub round_trip_ms: u64,
    /// From the client to the service.
    pub up: BitRate,
    /// From the service to the client.
    pub down: BitRate,
    /// Share of segments that are lost.
    pub loss: f64,
}

impl Preset {
    const fn new(name: &'static str, round_trip_ms: u64, up_kbit: u64, down_kbit: u64) -> Self {
        Self { name, round_trip_ms, up: BitRate::kbit(up_kbit), down: BitRate::kbit(down_kbit), loss: 0.0 }
    }

    const fn losing(self, loss: f64) -> Self {
        Self { loss, ..self }
    }
}

/// The presets, slowest first.
pub(super) const PRESETS: [Preset; 6] = [
    // WebPageTest, connectivity profile 3GSlow. Chrome's DevTools throttles its slowest profile to the same rate.
    Preset::new("slow-3g", 400, 400, 400),
    // Apple, Network Link Conditioner, profile "3G, Lossy Network": 100 ms and 1 % in each direction, as WebRTC's
    // tools/network_emulator/emulate.py lists it.
    Preset::new("lossy", 200, 330, 780).losing(0.01),
    // WebPageTest, connectivity profiles 3G, DSL, 4G and LTE.
    Preset::new("3g", 300, 768, 1600),
    Preset::new("dsl", 50, 384, 1500),
    Preset::new("4g", 170, 9000, 9000),
    Preset::new("lte", 70, 12_000, 12_000),
];
