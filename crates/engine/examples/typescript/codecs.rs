//! The table by which the shell writes what the engine reads, and reads what it writes: `codecs.ts`, in terms of
//! `client/src/engine/codec.ts`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use crate::Error;
use crate::formats::{self, ContainerFormat, Format, Named, Registry, VariantFormat};

/// Types that are something else in JavaScript than what is written of them: `codec.ts` has them.
const OWN: [&str; 4] = ["Digest", "PeerId", "PieceDigests", "Signal"];

pub(crate) fn codecs(registry: &Registry) -> Result<String, Error> {
    let mut table = Table {
        registry,
        defaults: formats::defaults(registry)?,
        imports: BTreeSet::new(),
        types: BTreeSet::new(),
        lines: String::new(),
        done: BTreeSet::new(),
    };
    for name in registry.keys() {
        table.declare(name)?;
    }
    let list = |names: BTreeSet<String>| Vec::from_iter(names).join(", ");
    let mut text = String::from(
        "// Written by `cargo xtask types`: how values pass between the engine and its shell (docs/protocol.md).\n",
    );
    writeln!(text, "import {{ {} }} from \"../engine/codec\";", list(table.imports))?;
    for name in table.types {
        writeln!(text, "import type {{ {name} }} from \"./{name}\";")?;
    }
    Ok(text + &table.lines)
}

struct Table<'a> {
    registry: &'a Registry,
    defaults: BTreeMap<(String, String), Value>,
    /// What is used of `codec.ts`.
    imports: BTreeSet<String>,
    /// The types that are declared.
    types: BTreeSet<String>,
    lines: String,
    done: BTreeSet<String>,
}

impl Table<'_> {
    /// Declares a type, after everything that it refers to.
    fn declare(&mut self, name: &str) -> Result<(), Error> {
        if OWN.contains(&name) || !self.done.insert(name.to_owned()) {
            return Ok(());
        }
        let codec = match self.registry.get(name).ok_or("a type is missing")? {
            ContainerFormat::NewTypeStruct(format) => self.codec(format)?,
            ContainerFormat::Struct(fields) => {
                let structure = self.used("struct");
                format!("{structure}<{name}>({})", self.fields(name, fields)?)
            }
            ContainerFormat::Enum(variants) if variants.values().all(|v| v.value == VariantFormat::Unit) => {
                // Nothing stands for what is not met: the others' places count.
                let met = |it: &str| if formats::is_met(name, it) { it.to_owned() } else { String::new() };
                let names: Vec<String> = variants.values().map(|variant| met(&variant.name)).collect();
                format!("{}<{name}>(\"{}\")", self.used("oneOf"), names.join(" "))
            }
            ContainerFormat::Enum(variants) => {
                let mut text = format!("{}<{name}>({{\n", self.used("variants"));
                for Named { name, value } in variants.values() {
                    let codec = match value {
                        VariantFormat::Unit => self.used("nothing"),
                        VariantFormat::NewType(format) => self.codec(format)?,
                        VariantFormat::Struct(fields) => {
                            format!("{}({})", self.used("struct"), self.fields(name, fields)?)
                        }
                        _ => return Err("no such variants pass".into()),
                    };
                    writeln!(text, "  {name}: {codec},")?;
                }
                text + "})"
            }
            _ => return Err("no such types pass".into()),
        };
        self.types.insert(name.to_owned());
        self.imports.insert("type Codec".into());
        writeln!(self.lines, "\nexport const {}: Codec<{name}> = {codec};", constant(name))?;
        Ok(())
    }

    fn fields(&mut self, structure: &str, fields: &[Named<Format>]) -> Result<String, Error> {
        let mut parts = Vec::new();
        for Named { name, value } in fields {
            let mut codec = self.codec(value)?;
            let default = self.defaults.get(&(structure.to_owned(), name.clone())).cloned();
            // An option needs no default.
            if let Some(default) = default.filter(|default| !default.is_null()) {
                codec = format!("{}({codec}, {default})", self.used("or"));
            }
            parts.push(format!("{name}: {codec}"));
        }
        Ok(format!("{{ {} }}", parts.join(", ")))
    }

    fn codec(&mut self, format: &Format) -> Result<String, Error> {
        Ok(match format {
            Format::TypeName(name) => {
                self.declare(name)?;
                if OWN.contains(&name.as_str()) { self.used(&constant(name)) } else { constant(name) }
            }
            Format::Bool => self.used("flag"),
            Format::U8 | Format::U16 | Format::U32 => self.used("u32"),
            Format::U64 => self.used("u64"),
            Format::Str => self.used("text"),
            Format::Option(of) => format!("{}({})", self.used("option"), self.codec(of)?),
            Format::Seq(of) if **of == Format::U8 => self.used("bytes"),
            Format::Seq(of) => format!("{}({})", self.used("list"), self.codec(of)?),
            Format::TupleArray { content, size: 2 } => {
                format!("{}({})", self.used("pair"), self.codec(content)?)
            }
            _ => return Err(format!("no such values pass: {format:?}").into()),
        })
    }

    fn used(&mut self, name: &str) -> String {
        self.imports.insert(name.to_owned());
        name.to_owned()
    }
}

/// The name of a type's codec.
fn constant(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_lowercase() + rest
}
