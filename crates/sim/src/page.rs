//! Pages load: the document, what it needs, and when all of it is there. It is the same in both arms, but for who
//! answers.

use std::time::Duration;

use edgeweave_engine::io::FetchedResource;
use edgeweave_protocol::manifest::OK;

use crate::browser::{Ahead, Load, Request, RequestKey};
use crate::event::{Arm, Event, Server};
use crate::figures::{Arms, Asked, ViewTimes};
use crate::http1::{Ask, Urgency};
use crate::link::milliseconds;
use crate::origin::{self, Origin};
use crate::simulation::Simulation;
use crate::slab::Key;
use crate::supernode;
use crate::visitor::Visitor;
use crate::world::site::{AssetKind, AssetModel, Caching, Page};

/// What a desktop computer takes for an answer from its HTTP cache.
const CACHE_ANSWER: Duration = Duration::from_millis(2);

/// What the origin takes to find a file.
const STATIC_THINK: Duration = Duration::from_millis(2);

/// How soon a browser asks for an asset.
pub(crate) fn urgency(asset: &AssetModel) -> Urgency {
    match asset.kind {
        _ if asset.render_blocking => Urgency::Blocking,
        AssetKind::Style | AssetKind::Script | AssetKind::Font => Urgency::Soon,
        AssetKind::Picture | AssetKind::Media => Urgency::Later,
    }
}

impl Page {
    /// How its document is asked for, of an origin that takes `slow` longer than it would, by a browser that has it or not.
    pub(crate) fn ask(&self, request: RequestKey, slow: Duration, has_it: bool) -> Ask {
        let think = Duration::from_micros(self.think_us) + slow;
        let bytes = if has_it { 0 } else { self.html_bytes.into() };
        Ask { request, bytes, think, urgency: Urgency::Blocking }
    }

    /// Whether its document is a file, which stays the same; others are made for each visitor.
    fn is_file(&self) -> bool {
        self.think_us == 0
    }
}

impl Simulation {
    pub(crate) fn begin_page(&mut self, key: Key, arm: Arm, page: usize, first_ever: bool) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let controlled = visitor.client.kept.installed && visitor.person.device.service_worker;
        let browser = visitor.browser_mut(arm);
        browser.load = Load {
            number: browser.load.number + 1,
            page,
            began: now,
            controlled,
            first_ever,
            ..Load::default()
        };
        if controlled && arm == Arm::Mesh {
            self.start_beside_navigation(key);
        }
        self.request(key, arm, None);
    }

    /// The page asks for something.
    fn request(&mut self, key: Key, arm: Arm, asset: Option<u32>) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let browser = visitor.browser_mut(arm);
        let load = &mut browser.load;
        let place = load.requests.len() as u16;
        load.requests.push(Request {
            asset,
            began: now,
            from_mesh: 0,
            engine_asked: false,
            hash: None,
            next_rung_asked: false,
            origin_asked: false,
            answered: false,
        });
        load.open += 1;
        let request = RequestKey { load: load.number, place };
        // A worker is never in the way of documents, nor of what is in memory.
        let is_workers = browser.load.controlled && asset.is_some_and(|asset| !browser.remembers(asset, now));
        let load = &mut browser.load;
        let costs = self.scenario.network.as_ref().map_or(Duration::ZERO, |it| milliseconds(it.worker_ms));
        let turn = load.worker_busy_until.max(now);
        if is_workers {
            load.worker_busy_until = turn + costs;
        }
        match arm {
            Arm::Mesh if is_workers => self.ask_worker(key, request, turn + costs),
            // There the worker has nothing to say.
            Arm::Holdout if is_workers && costs > Duration::ZERO => {
                self.queue.plan(turn + costs, Event::PassedOn { visitor: key, request });
            }
            _ => self.ask_browser(key, arm, request),
        }
    }

    /// The browser's own way: its HTTP cache, and then the origin.
    pub(crate) fn ask_browser(&mut self, key: Key, arm: Arm, request: RequestKey) {
        let now = self.now();
        let Some(visitor) = self.visitors.get(key) else { return };
        let slow = self.origin_delay();
        let (number, slowness) = (visitor.planned.visitor, visitor.person.device.slowness);
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let browser = visitor.browser_mut(arm);
        let (page, controlled) = (browser.load.page, browser.load.controlled);
        let Some(asked) = browser.load.asked(request) else { return };
        if asked.answered || std::mem::replace(&mut asked.origin_asked, true) {
            return;
        }
        let (asset, from_mesh) = (asked.asset, asked.from_mesh);
        let remembered = asset.is_some_and(|asset| browser.remembers(asset, now));
        let ask = match asset {
            None => match browser.ahead.take() {
                Some(Ahead { bytes, here }) => {
                    browser.load.origin_bytes += bytes;
                    if here {
                        let took = CACHE_ANSWER.mul_f64(slowness);
                        self.queue.plan(now + took, Event::AnsweredLocally { visitor: key, arm, request });
                    }
                    return;
                }
                None => {
                    let has_it = browser.http_cache.documents.contains(&page);
                    self.site.pages[page].ask(request, slow, has_it)
                }
            },
            Some(asset) => {
                let copy = browser.http_cache.get(asset);
                if remembered || copy.is_some_and(|copy| now < copy.fresh_until) {
                    let took = CACHE_ANSWER.mul_f64(slowness);
                    self.queue.plan(now + took, Event::AnsweredLocally { visitor: key, arm, request });
                    if arm == Arm::Mesh {
                        // Nothing came over the network.
                        self.fetched(
                            key,
                            FetchedResource {
                                url: self.origin.url(asset).into(),
                                bytes: 0,
                                first_byte_ms: 0,
                                total_ms: took.as_millis() as u32,
                                controlled,
                                status: OK,
                            },
                        );
                    }
                    return;
                }
                let content = Origin::content(now, &self.site, asset, Some(number));
                let unchanged = copy.is_some_and(|copy| copy.version == content.version);
                let size = u64::from(self.site.assets[asset as usize].bytes);
                // What the mesh has delivered is not asked for again.
                let bytes = if unchanged { 0 } else { size - from_mesh.min(size) };
                let urgency = urgency(&self.site.assets[asset as usize]);
                Ask { request, bytes, think: STATIC_THINK + slow, urgency }
            }
        };
        browser.load.origin_bytes += ask.bytes;
        self.ask_origin(key, arm, asset, ask);
    }

    /// The browser asks the origin for an asset, or for a document.
    pub(crate) fn ask_origin(&mut self, key: Key, arm: Arm, asset: Option<u32>, ask: Ask) {
        let now = self.now();
        let Some(visitor) = self.visitors.get(key) else { return };
        let (round_trip, country) = (self.round_trip_to_origin(visitor), visitor.person.country);
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let browser = visitor.browser_mut(arm);
        let asked = Asked { asset, country, controlled: browser.load.controlled, bytes: ask.bytes };
        if let Some(at) = browser.connection.ask(now, ask, round_trip) {
            self.queue.plan(at, Event::Pump { visitor: key, arm, server: Server::Origin });
        }
        self.figures.asked(arm, now, &self.site, asked);
    }

    pub(crate) fn pump(&mut self, key: Key, arm: Arm, server: Server) {
        let now = self.now();
        let Some(visitor) = self.visitors.get(key) else { return };
        let (round_trip, rate) = match server {
            Server::Origin => (self.round_trip_to_origin(visitor), self.scenario.origin_bytes_per_s),
            Server::Supernode => {
                (self.round_trip_to_supernode(key).unwrap_or_default(), supernode::BYTES_PER_S)
            }
        };
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let browser = visitor.browser_mut(arm);
        let connection = match server {
            Server::Origin => &mut browser.connection,
            Server::Supernode => &mut browser.supernode,
        };
        let pumped = connection.pump(now, &mut browser.down, round_trip, rate);
        if let Some((request, bytes, at)) = pumped.partial.filter(|(request, ..)| request.is_documents()) {
            self.queue.plan(at, Event::DocumentGrew { visitor: key, arm, load: request.load, bytes });
        }
        if let Some((request, at)) = pumped.complete {
            self.queue.plan(at, Event::Answered { visitor: key, arm, server, request });
        }
        if let Some(at) = pumped.again {
            self.queue.plan(at, Event::Pump { visitor: key, arm, server });
        }
    }

    /// The origin has answered: the browser keeps a copy, and the client hears what it took.
    pub(crate) fn answered_by_origin(&mut self, key: Key, arm: Arm, request: RequestKey) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let browser = visitor.browser_mut(arm);
        if request.load == browser.load.number + 1 {
            browser.ahead.iter_mut().for_each(|ahead| ahead.here = true);
            return;
        }
        let Some(asked) = browser.load.asked(request).copied() else { return };
        if let Some(asset) = asked.asset {
            let model = &self.site.assets[asset as usize];
            if let Some(lifetime) = origin::browser_lifetime(model.caching) {
                let version = Origin::content(now, &self.site, asset, None).version;
                browser.http_cache.put(asset, version, now + lifetime);
            }
            if arm == Arm::Mesh && !asked.answered {
                let took = now.since(asked.began).as_millis() as u32;
                let transfer = model.bytes / (self.scenario.origin_bytes_per_s / 1000).max(1) as u32;
                let resource = FetchedResource {
                    url: self.origin.url(asset).into(),
                    bytes: u64::from(model.bytes),
                    first_byte_ms: took.saturating_sub(transfer),
                    total_ms: took,
                    controlled: browser.load.controlled,
                    status: origin::status(model.caching),
                };
                self.fetched(key, resource);
            }
        }
        match arm {
            Arm::Mesh => self.next_rung_answers(key, request),
            Arm::Holdout => self.answered(key, arm, request),
        }
    }

    /// A request has its answer, from whoever it is.
    pub(crate) fn answered(&mut self, key: Key, arm: Arm, request: RequestKey) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let browser = visitor.browser_mut(arm);
        let Some(asked) = browser.load.asked(request) else { return };
        if std::mem::replace(&mut asked.answered, true) {
            return;
        }
        let asset = asked.asset;
        if let Some(asset) = asset.filter(|_| browser.load.controlled) {
            let lifetime = origin::browser_lifetime(self.site.assets[asset as usize].caching);
            let kept = browser.http_cache.get(asset).map(|copy| copy.fresh_until);
            // What came through the worker says of no date, and is as good as new.
            let fresh_until = kept.filter(|until| now < *until).or(lifetime.map(|lifetime| now + lifetime));
            if let Some(fresh_until) = fresh_until.filter(|_| !browser.remembers(asset, now)) {
                browser.memory.insert(asset, fresh_until);
            }
        }
        let load = &mut browser.load;
        let page = load.page;
        load.open -= 1;
        load.busy_until = load.busy_until.max(now) + self.site.pages[page].processing_of_an_answer();
        match asset {
            None => {
                if self.site.pages[page].is_file() {
                    browser.http_cache.documents.insert(page);
                }
                self.discover(key, arm, page, None);
            }
            Some(asset) if self.site.assets[asset as usize].kind == AssetKind::Style => {
                load.styles_open -= 1;
                if load.styles_open == 0 {
                    let fonts = std::mem::take(&mut load.fonts);
                    fonts.into_iter().for_each(|font| self.request(key, arm, Some(font)));
                }
            }
            Some(_) => {}
        }
        if let Some(asset) =
            asset.filter(|asset| self.site.assets[*asset as usize].caching == Caching::Missing)
        {
            let instead = |other: &u32| self.site.assets[*other as usize].instead_of == Some(asset);
            let next = self.site.pages[page].assets.iter().copied().find(instead);
            next.into_iter().for_each(|other| self.request(key, arm, Some(other)));
        }
        self.check_all_here(key, arm);
    }

    /// So many bytes of the document are here: what they name is asked for before the rest is.
    pub(crate) fn document_grew(&mut self, key: Key, arm: Arm, number: u16, bytes: u64) {
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let load = &visitor.browser_mut(arm).load;
        let page = load.page;
        if load.number == number && load.loaded.is_none() {
            self.discover(key, arm, page, Some(bytes));
        }
    }

    /// What so many bytes of the document name, or all of it, is asked for, in its order, and fonts when the styles are here.
    fn discover(&mut self, key: Key, arm: Arm, page: usize, bytes: Option<u64>) {
        let kind = |asset: &u32| self.site.assets[*asset as usize].kind;
        let assets = &self.site.pages[page].assets;
        let is_named = |asset: &&u32| {
            let first = self.site.assets[**asset as usize].instead_of;
            first.is_none_or(|first| !assets.contains(&first))
        };
        let (fonts, others): (Vec<u32>, Vec<u32>) =
            assets.iter().filter(is_named).partition(|asset| kind(asset) == AssetKind::Font);
        let styles = others.iter().filter(|asset| kind(asset) == AssetKind::Style).count() as u32;
        // Styles and scripts stand at its beginning, and the rest all over it.
        let at_head =
            others.iter().take_while(|asset| urgency(&self.site.assets[**asset as usize]) < Urgency::Later);
        let at_head = at_head.count();
        let of = u64::from(self.site.pages[page].html_bytes).max(1);
        let share = bytes.unwrap_or(of).min(of);
        let named = at_head + ((others.len() - at_head) as u64 * share / of) as usize;
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let load = &mut visitor.browser_mut(arm).load;
        let first = load.discovered;
        load.discovered = named.max(first);
        let mut at_once = others.get(first..named).unwrap_or_default().to_vec();
        if styles == 0 {
            at_once.extend(fonts.into_iter().filter(|_| bytes.is_none()));
        } else if first == 0 {
            (load.styles_open, load.fonts) = (styles, fonts);
        }
        at_once.into_iter().for_each(|asset| self.request(key, arm, Some(asset)));
    }

    /// When everything is here, the page has loaded as soon as the browser has made one of it.
    fn check_all_here(&mut self, key: Key, arm: Arm) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let load = &visitor.browser_mut(arm).load;
        if load.open > 0 || !load.fonts.is_empty() {
            return;
        }
        let (number, at) = (load.number, load.busy_until);
        if at > now {
            self.queue.plan(at, Event::Processed { visitor: key, arm, load: number });
        } else {
            self.processed(key, arm, number);
        }
    }

    pub(crate) fn processed(&mut self, key: Key, arm: Arm, number: u16) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let country = visitor.person.country;
        let load = &mut visitor.browser_mut(arm).load;
        if load.number != number || load.loaded.is_some() {
            return;
        }
        load.loaded = Some(now);
        let (took, first_ever) = (now.since(load.began), load.first_ever);
        self.figures.loaded(arm, country, took, first_ever);
        if arm == Arm::Mesh {
            self.page_loaded(key);
        }
    }

    /// The visitor does not look at the page any more. What had not loaded by then took at least so long.
    pub(crate) fn end_page(&mut self, key: Key, arm: Arm) {
        let now = self.now();
        let Some(visitor) = self.visitors.get_mut(key) else { return };
        let country = visitor.person.country;
        let browser = visitor.browser_mut(arm);
        browser.connection.abandon(browser.load.number);
        browser.supernode.abandon(browser.load.number);
        let load = &mut browser.load;
        if load.number > 0 && load.loaded.is_none() {
            load.loaded = Some(now);
            load.is_unfinished = true;
            let (took, first_ever) = (now.since(load.began), load.first_ever);
            self.figures.loaded(arm, country, took, first_ever);
        }
    }
    /// Counts a view that has ended, in both arms, of a visitor who takes part; where that is not known, because no client
    /// has run long enough to hear it from the node, it is not counted in either.
    pub(crate) fn count_view(&mut self, key: Key) {
        let Some(visitor) = self.visitors.get(key) else { return };
        let holds_out = self.scenario.policy.holdout_percent > 0;
        let Visitor { holdout, mesh, .. } = visitor;
        let named = self.scenario.held_out.contains(&visitor.planned.visitor);
        if !named && (visitor.client.kept.held_out == Some(false) || !holds_out) {
            self.figures.took_part(Arm::Holdout, &holdout.load);
            self.figures.took_part(Arm::Mesh, &mesh.load);
        }
        if self.scenario.network.is_some()
            && let Some(place) = visitor.next_view.checked_sub(1)
        {
            self.figures.views.push(ViewTimes {
                visit: visitor.visit,
                place,
                load_ms: Arms { holdout: holdout.load.took_ms(), mesh: mesh.load.took_ms() },
            });
        }
    }
}
