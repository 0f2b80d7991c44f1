//! How people follow links: a pointer comes to rest on one, presses it and lets go, and then the browser goes there. What
//! browsers fetch ahead for it begins before that, where the site's policy says so.

use std::time::Duration;

use edgeweave_protocol::policy::Prefetch;

use crate::browser::{Ahead, RequestKey};
use crate::event::{Arm, Event};
use crate::simulation::Simulation;
use crate::slab::Key;
use crate::world::person::{BrowserKind, Device, Form};

/// How long a pointer rests on a link before it is pressed. When it has for 65 ms there are on average 300 until the click
/// (<https://calendar.perfplanet.com/2019/instant-pages-with-just-in-time-preloading/>), of which the press is [`PRESS`].
pub const REST: Duration = Duration::from_millis(285);

/// How long a link is pressed (the same source).
pub const PRESS: Duration = Duration::from_millis(80);

/// How long a finger touches one (the same source).
const TOUCH: Duration = Duration::from_millis(90);

/// A pointer that rests for so long is worth a moderate prefetch
/// (<https://developer.chrome.com/docs/web-platform/prerender-pages#eagerness>).
const MODERATE_AFTER: Duration = Duration::from_millis(200);

/// How long before somebody goes to the next page the browser may fetch its document, if it is one that does.
pub(crate) fn lead(prefetch: Prefetch, device: &Device) -> Option<Duration> {
    if matches!(device.browser, BrowserKind::Safari | BrowserKind::Firefox) || device.saves_data {
        return None;
    }
    match (prefetch, device.form) {
        (Prefetch::Off, _) => None,
        (_, Form::Phone) => Some(TOUCH),
        (Prefetch::Conservative, Form::Desktop) => Some(PRESS),
        (Prefetch::Moderate, Form::Desktop) => Some(REST + PRESS - MODERATE_AFTER),
    }
}

impl Simulation {
    /// Plans when the link to the next page is pointed at, if there is one to come.
    pub(crate) fn plan_pointing(&mut self, key: Key, leaves_after: Duration) {
        let Some(visitor) = self.visitors.get(key) else { return };
        if visitor.next_view < visitor.session.views.len()
            && let Some(lead) = lead(self.scenario.policy.prefetch, &visitor.person.device)
        {
            self.queue.plan(self.now() + leaves_after - lead, Event::Pointed { visitor: key });
        }
    }

    /// The browser with the mesh asks for the next page's document, if the client has told it to.
    pub(crate) fn pointed(&mut self, key: Key) {
        let slow = self.origin_delay();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let Some(next) = visitor.session.views.get(visitor.next_view) else { return };
        let is_told = visitor.client.page_part.as_ref().is_some_and(|part| part.prefetch != Prefetch::Off);
        let page = &self.site.pages[next.page];
        if !is_told || page.has_query {
            return;
        }
        let has_it = visitor.mesh.http_cache.documents.contains(&next.page);
        let ask = page.ask(RequestKey { load: visitor.mesh.load.number + 1, place: 0 }, slow, has_it);
        visitor.mesh.ahead = Some(Ahead { bytes: ask.bytes, here: false });
        self.ask_origin(key, Arm::Mesh, None, ask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_browsers_that_can_fetch_ahead_and_as_long_before_as_people_point() {
        let of = |prefetch, browser, form, saves_data| {
            let (slowness, worker_start_us) = (1.0, 0);
            let device = Device {
                form,
                browser,
                slowness,
                webrtc: true,
                service_worker: true,
                saves_data,
                worker_start_us,
            };
            lead(prefetch, &device).map(|lead| lead.as_millis())
        };
        let (chrome, desktop) = (BrowserKind::Chrome, Form::Desktop);
        assert_eq!(of(Prefetch::Off, chrome, desktop, false), None);
        assert_eq!(of(Prefetch::Conservative, chrome, desktop, false), Some(80));
        assert_eq!(of(Prefetch::Moderate, chrome, desktop, false), Some(165));
        assert_eq!(of(Prefetch::Moderate, chrome, Form::Phone, false), Some(90));
        assert_eq!(of(Prefetch::Moderate, BrowserKind::Safari, desktop, false), None);
        assert_eq!(of(Prefetch::Moderate, chrome, desktop, true), None);
    }
}
