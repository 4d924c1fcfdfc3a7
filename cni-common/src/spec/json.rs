//! Reading JSON objects the way callers of the reference rely on.
//!
//! Keys are found without regard to case, an exact match wins, of several alike the last wins;
//! `null` is absent; a whole number may be written `1.0`. A value is decoded only when it is asked
//! for, so an unknown key costs nothing and breaks nothing. Every error names the key's path and
//! shows the value. Nothing here knows what a key means.

mod near;

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use ipnetwork::IpNetwork;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Code, Error, Result};
use crate::types::{parse_cidr, parse_ip};

/// More keys than any configuration has; what has more is not one.
const MAX_KEYS: usize = 4096;
/// A longer value is cut in messages.
const MAX_SHOWN: usize = 120;

/// A JSON object whose values are decoded on demand.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    /// `None` of the document itself.
    place: Option<Rc<Place>>,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Reads `text`; fails with code 6 unless it is one JSON object. `what` leads the message.
    pub fn parse(text: &'a str, what: &str) -> Result<Self> {
        Self::read(text, None).map_err(|error| {
            Error::new(Code::Decode, format!("{what}: not a JSON object: {error}"))
        })
    }

    fn read(text: &'a str, place: Option<Rc<Place>>) -> serde_json::Result<Self> {
        let Fields(fields) = serde_json::from_str(text)?;
        Ok(Self { place, fields })
    }

    fn raw(&self, key: &str) -> Option<&'a RawValue> {
        let exact = self.fields.iter().rev().find(|(name, _)| name == key);
        let found = exact
            .or_else(|| self.fields.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(key)));
        found.map(|(_, raw)| *raw).filter(|raw| raw.get() != "null")
    }

    fn place_of(&self, key: &str) -> Place {
        Place { inside: self.place.clone(), step: Step::Key(key.into()) }
    }

    /// The error for a key that must be there (code 7). Its details name a key that is not among
    /// `known` and may be this one misspelt.
    pub fn missing(&self, key: &str, known: &[&str]) -> Error {
        let error = Error::new(Code::InvalidConfig, format!("{}: missing", self.place_of(key)));
        match self.misspelt(key, known) {
            Some(details) => error.with_details(details),
            None => error,
        }
    }

    /// What to tell about a key that is there, is not among `known`, and looks like `key`.
    pub fn misspelt(&self, key: &str, known: &[&str]) -> Option<String> {
        let is_known = |name: &str| known.iter().any(|known| known.eq_ignore_ascii_case(name));
        let unknown = self
            .fields
            .iter()
            .map(|(name, _)| name.as_ref())
            .filter(|name| !is_known(name) && !name.eq_ignore_ascii_case(key));
        let found = near::nearest(key, unknown)?;
        let found = self.place_of(found).to_string();
        Some(format!("{found:?} is no known key: is {key:?} meant?"))
    }

    /// Whether `key` is there with a value other than `null`.
    pub fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    /// The value of `key` as it stands, if it is there.
    pub fn value(&self, key: &str) -> Option<Value<'a>> {
        self.raw(key).map(|raw| Value { place: self.place_of(key), raw })
    }

    /// All keys as they are written, in their order, with their values; `null` is absent.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Value<'a>)> {
        let present = self.fields.iter().filter(|(_, raw)| raw.get() != "null");
        present.map(|(key, raw)| (key.as_ref(), Value { place: self.place_of(key), raw }))
    }

    /// The string at `key`.
    pub fn string(&self, key: &str) -> Result<Option<String>> {
        self.value(key).map(|value| value.string()).transpose()
    }

    /// The string at `key`; an empty one counts as absent.
    pub fn nonempty(&self, key: &str) -> Result<Option<String>> {
        Ok(self.string(key)?.filter(|text| !text.is_empty()))
    }

    /// The boolean at `key`, `false` when absent.
    pub fn flag(&self, key: &str) -> Result<bool> {
        Ok(self.value(key).map(|value| value.flag()).transpose()?.unwrap_or(false))
    }

    /// The whole number at `key`.
    pub fn integer(&self, key: &str) -> Result<Option<i64>> {
        self.value(key).map(|value| value.integer()).transpose()
    }

    /// The object at `key`.
    pub fn object(&self, key: &str) -> Result<Option<Self>> {
        self.value(key).map(|value| value.object()).transpose()
    }

    /// The elements of the list at `key`; none when absent. Its `null` elements are kept.
    pub fn list(&self, key: &str) -> Result<Vec<Value<'a>>> {
        self.value(key).map_or_else(|| Ok(Vec::new()), |value| value.list())
    }

    /// The strings of the list at `key`; none when absent.
    pub fn strings(&self, key: &str) -> Result<Vec<String>> {
        self.list(key)?.iter().map(Value::string).collect()
    }

    /// The string at `key`, read by `read`; what `read` refuses is error 7 with key and value.
    pub fn parsed<T>(&self, key: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => value.parsed(read).map(Some),
        }
    }
}

/// Where a value is. A list may have very many elements, and hardly any is ever named: so the path is put
/// into words only for a message.
#[derive(Clone, Debug)]
struct Place {
    /// The object or list that it is in; `None` of the document.
    inside: Option<Rc<Place>>,
    step: Step,
}

/// The last part of a path.
#[derive(Clone, Debug)]
enum Step {
    Key(Rc<str>),
    Index(usize),
}

/// As `key.list[0].key`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(inside) = &self.inside {
            inside.fmt(f)?;
        }
        match &self.step {
            Step::Key(key) if self.inside.is_none() => f.write_str(key),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// One JSON value with the path that leads to it.
#[derive(Clone, Debug)]
pub struct Value<'a> {
    place: Place,
    raw: &'a RawValue,
}

impl<'a> Value<'a> {
    /// The path of keys and indices from the document's top, for messages.
    pub fn path(&self) -> String {
        self.place.to_string()
    }

    /// The JSON text as it came.
    pub fn text(&self) -> &'a str {
        self.raw.get()
    }

    /// The error for a value that is not valid (code 7): `<key>: <fault>` and the value.
    pub fn invalid(&self, fault: impl fmt::Display) -> Error {
        Error::new(Code::InvalidConfig, format!("{}: {fault}, got {}", self.path(), self.shown()))
    }

    fn mistyped(&self, wanted: &str) -> Error {
        Error::new(Code::Decode, format!("{}: must be {wanted}, got {}", self.path(), self.shown()))
    }

    fn shown(&self) -> Cow<'a, str> {
        let text = self.raw.get();
        match text.char_indices().nth(MAX_SHOWN) {
            Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
            None => Cow::Borrowed(text),
        }
    }

    /// The value as a string.
    pub fn string(&self) -> Result<String> {
        serde_json::from_str(self.raw.get()).map_err(|_type| self.mistyped("a string"))
    }

    /// The value as `true` or `false`.
    pub fn flag(&self) -> Result<bool> {
        serde_json::from_str(self.raw.get()).map_err(|_type| self.mistyped("true or false"))
    }

    /// The value as a whole number, which may be written `1.0`.
    pub fn integer(&self) -> Result<i64> {
        let text = self.raw.get();
        if let Ok(number) = serde_json::from_str::<i64>(text) {
            return Ok(number);
        }
        // Every whole number below 2^53 is exact as a double.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match serde_json::from_str::<f64>(text) {
            Ok(number) if number.fract() == 0.0 && number.abs() < EXACT =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
                Ok(number as i64)
            }
            _ => Err(self.mistyped("a whole number")),
        }
    }

    /// The value as a whole number that is not negative, which may be written `1.0`.
    pub fn unsigned(&self) -> Result<u64> {
        if let Ok(number) = serde_json::from_str::<u64>(self.raw.get()) {
            return Ok(number);
        }
        let number = self.integer()?;
        u64::try_from(number).map_err(|_negative| self.invalid("must not be negative"))
    }

    /// The value as an object.
    pub fn object(&self) -> Result<Object<'a>> {
        Object::read(self.raw.get(), Some(Rc::new(self.place.clone())))
            .map_err(|error| self.mistyped("an object").with_details(error.to_string()))
    }

    /// The value as a list.
    pub fn list(&self) -> Result<Vec<Self>> {
        let items: Vec<&'a RawValue> =
            serde_json::from_str(self.raw.get()).map_err(|_type| self.mistyped("a list"))?;
        let list = Rc::new(self.place.clone());
        let element = |(index, raw)| {
            let inside = Some(Rc::clone(&list));
            Value { place: Place { inside, step: Step::Index(index) }, raw }
        };
        Ok(items.into_iter().enumerate().map(element).collect())
    }

    /// The value as an address with a prefix length.
    pub fn cidr(&self) -> Result<IpNetwork> {
        let text = self.string()?;
        parse_cidr(&text).ok_or_else(|| match parse_ip(&text) {
            Some(ip) => {
                let example = if ip.is_ipv4() { 24 } else { 64 };
                self.invalid(format_args!("the prefix length is missing, as in \"{ip}/{example}\""))
            }
            None => self.invalid("not valid"),
        })
    }

    /// The value as a string read by `read`; what `read` refuses is error 7 with key and value.
    pub fn parsed<T>(&self, read: impl Fn(&str) -> Option<T>) -> Result<T> {
        read(&self.string()?).ok_or_else(|| self.invalid("not valid"))
    }
}

struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if fields.len() == MAX_KEYS {
                return Err(serde::de::Error::custom(format!("more than {MAX_KEYS} keys")));
            }
            fields.push((key.0, map.next_value()?));
        }
        Ok(Fields(fields))
    }
}

/// A key, borrowed from the text unless it holds an escape.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object<'_> {
        Object::parse(text, "test").unwrap()
    }

    #[test]
    fn an_exact_key_wins_over_another_case_and_the_last_over_the_first() {
        let found = |text: &str| object(text).string("mtu").unwrap().unwrap();
        assert_eq!(found(r#"{"MTU":"a"}"#), "a");
        assert_eq!(found(r#"{"mtu":"a","MTU":"b"}"#), "a");
        assert_eq!(found(r#"{"MTU":"a","Mtu":"b"}"#), "b");
        assert_eq!(found(r#"{"mtu":"a","mtu":"b"}"#), "b");
    }

    #[test]
    fn null_is_absent() {
        let object = object(r#"{"a":null,"b": null }"#);
        assert!(!object.has("a"));
        assert_eq!(object.string("b").unwrap(), None);
        assert!(object.list("a").unwrap().is_empty());
    }

    #[test]
    fn whole_numbers_may_have_a_fraction_of_zero() {
        let object = object(r#"{"a":1.0,"b":1.5,"c":"1","d":-3,"e":1e3,"f":1e300}"#);
        assert_eq!(object.integer("a").unwrap(), Some(1));
        assert_eq!(object.integer("d").unwrap(), Some(-3));
        assert_eq!(object.integer("e").unwrap(), Some(1000));
        for key in ["b", "c", "f"] {
            assert!(object.integer(key).unwrap_err().is(Code::Decode), "{key}");
        }
        let unsigned = |text: &str| {
            let text = format!(r#"{{"a":{text}}}"#);
            Object::parse(&text, "test").unwrap().value("a").unwrap().unsigned()
        };
        assert_eq!(unsigned("18446744073709551615").unwrap(), u64::MAX);
        assert_eq!(unsigned("1.0").unwrap(), 1);
        assert!(unsigned("-1").unwrap_err().is(Code::InvalidConfig));
        assert!(unsigned("18446744073709551616").unwrap_err().is(Code::Decode));
    }

    #[test]
    fn errors_name_the_path_and_show_the_value() {
        let text = r#"{"ipam":{"ranges":[[{"subnet":7}]]}}"#;
        let ipam = object(text).object("ipam").unwrap().unwrap();
        let range = ipam.list("ranges").unwrap().remove(0).list().unwrap().remove(0);
        let error = range.object().unwrap().string("subnet").unwrap_err();
        assert_eq!(error.message(), "ipam.ranges[0][0].subnet: must be a string, got 7");
        assert!(error.is(Code::Decode));
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in ["", "[]", "1", "\"x\"", "{", "{}{}", "nul", "{\"a\":}", "{'a':1}"] {
            assert!(Object::parse(text, "test").unwrap_err().is(Code::Decode), "{text}");
        }
    }

    #[test]
    fn an_unknown_key_may_hold_anything() {
        let deep = format!("{{\"x\":{}{},\"name\":\"n\"}}", "[".repeat(9999), "]".repeat(9999));
        assert_eq!(object(&deep).string("name").unwrap().unwrap(), "n");
    }
}
