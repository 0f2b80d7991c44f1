//! Finds the place for the snippet in a document that streams by. Everything else passes byte for byte.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lol_html::html_content::ContentType;
use lol_html::send::{HtmlRewriter, Settings};
use lol_html::{MemorySettings, OutputSink, element};

/// What documents are given.
pub(super) const SNIPPET: &str = r#"<script async src="/edgeweave.js"></script>"#;

/// How far the place is looked for, in bytes: beyond it is hardly the beginning of a document.
const SEARCHED_BYTES: usize = 256 * 1024;

/// The memory that the rewriter may take, in bytes: it holds at most one unfinished tag.
const REWRITER_BYTES: usize = 1024 * 1024;

/// A document on its way.
pub(super) struct Injector(State);

enum State {
    Searching(Box<Search>),
    Passing,
}

struct Search {
    rewriter: HtmlRewriter<'static, Output>,
    output: Output,
    found: Arc<AtomicBool>,
    /// All that came in.
    seen: Vec<u8>,
    /// How much of it has gone out.
    passed: usize,
}

/// What came of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing is certain yet.
    NotYet,
    /// The snippet has just been put in.
    Place,
    /// It has just been given up.
    Nothing,
}

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl OutputSink for Output {
    fn handle_chunk(&mut self, chunk: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(chunk);
    }
}

impl Output {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Injector {
    /// A document of which nothing has come yet.
    pub(super) fn new() -> Self {
        Self(State::Searching(Box::new(Search::new())))
    }

    /// Takes the next bytes; returns those that can go out.
    pub(super) fn push(&mut self, chunk: &[u8]) -> (Vec<u8>, Found) {
        let State::Searching(search) = &mut self.0 else { return (chunk.to_vec(), Found::NotYet) };
        let (out, found) = search.push(chunk);
        if found != Found::NotYet {
            self.0 = State::Passing;
        }
        (out, found)
    }

    /// What is still held back when the document has ended.
    pub(super) fn finish(&mut self) -> (Vec<u8>, Found) {
        match std::mem::replace(&mut self.0, State::Passing) {
            State::Searching(search) => (search.seen[search.passed..].to_vec(), Found::Nothing),
            State::Passing => (Vec::new(), Found::NotYet),
        }
    }
}

impl Search {
    fn new() -> Self {
        let output = Output::default();
        let found = Arc::new(AtomicBool::new(false));
        let mark = found.clone();
        let place = element!("*", move |element| {
            // The parser makes a head where there is none, and puts a script before the first content into it.
            match element.tag_name().as_str() {
                _ if mark.load(Ordering::Relaxed) => return Ok(()),
                "html" => return Ok(()),
                "head" => element.prepend(SNIPPET, ContentType::Html),
                _ => element.before(SNIPPET, ContentType::Html),
            }
            mark.store(true, Ordering::Relaxed);
            Ok(())
        });
        let memory = MemorySettings::new()
            .with_preallocated_parsing_buffer_size(0)
            .with_max_allowed_memory_usage(REWRITER_BYTES);
        let settings =
            Settings::new_send().append_element_content_handler(place).with_memory_settings(memory);
        let rewriter = HtmlRewriter::new(settings, output.clone());
        Self { rewriter, output, found, seen: Vec::new(), passed: 0 }
    }

    fn push(&mut self, chunk: &[u8]) -> (Vec<u8>, Found) {
        self.seen.extend_from_slice(chunk);
        let is_utf16 = matches!(self.seen[..], [0xfe, 0xff, ..] | [0xff, 0xfe, ..]);
        if is_utf16 || self.rewriter.write(chunk).is_err() {
            return (self.seen.split_off(self.passed), Found::Nothing);
        }
        let mut out = self.output.take();
        if self.found.load(Ordering::Relaxed) {
            // What the rewriter still holds back, and all that follows, passes without it.
            let passed = self.passed + out.len() - SNIPPET.len();
            out.extend_from_slice(&self.seen[passed..]);
            return (out, Found::Place);
        }
        self.passed += out.len();
        if self.seen.len() > SEARCHED_BYTES {
            out.extend_from_slice(&self.seen[self.passed..]);
            return (out, Found::Nothing);
        }
        (out, Found::NotYet)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewritten(document: &[u8], step: usize) -> Vec<u8> {
        let mut injector = Injector::new();
        let mut out = Vec::new();
        for chunk in document.chunks(step.max(1)) {
            out.extend(injector.push(chunk).0);
        }
        out.extend(injector.finish().0);
        out
    }

    #[test]
    fn the_snippet_stands_where_every_parser_puts_it_into_the_head() {
        for (document, expected) in [
            ("<!doctype html><html><head><title>t</title>", "<!doctype html><html><head>@<title>t</title>"),
            (
                "<HTML lang=en>\n<HEAD class='a'>\n<meta charset=utf-8>",
                "<HTML lang=en>\n<HEAD class='a'>@\n<meta charset=utf-8>",
            ),
            ("<title>t</title><p>x", "@<title>t</title><p>x"),
            ("<html><body>x</body>", "<html>@<body>x</body>"),
            ("<!-- <head> --><p>x<head>", "<!-- <head> -->@<p>x<head>"),
            ("no element", "no element"),
            ("", ""),
        ] {
            for step in [1, 3, usize::MAX] {
                let out = String::from_utf8(rewritten(document.as_bytes(), step)).unwrap();
                assert_eq!(out, expected.replace('@', SNIPPET), "in steps of {step}");
            }
        }
    }

    #[test]
    fn what_is_no_ascii_passes() {
        let latin1 = b"<head><title>caf\xe9</title>";
        let out = rewritten(latin1, 2);
        assert_eq!(out, [b"<head>", SNIPPET.as_bytes(), &latin1[6..]].concat());
        let utf16 = b"\xff\xfe<\0p\0>\0";
        assert_eq!(rewritten(utf16, usize::MAX), utf16);
    }

    #[test]
    fn a_long_beginning_is_not_searched_for_ever() {
        let step = 4096;
        let document = " ".repeat(SEARCHED_BYTES + 2 * step) + "<p>";
        assert!(rewritten(document.as_bytes(), step) == document.as_bytes());
    }

    proptest! {
        #[test]
        fn nothing_but_the_snippet_is_changed(document in "([<>/!\" a-z=-]|<head>|<script>|<!--|-->|<p |é){0,40}", step in 1usize..20) {
            let out = String::from_utf8(rewritten(document.as_bytes(), step)).unwrap();
            prop_assert_eq!(out.replacen(SNIPPET, "", 1), document);
        }
    }
}
