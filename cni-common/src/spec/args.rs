//! `CNI_ARGS`: `KEY=VALUE;KEY=VALUE`.

use crate::error::{Code, Error, Result};

/// The keys that some plugin of the suite, or every runtime, knows. A key that one of them knows
/// is unknown to none: the same string goes to the whole chain.
const KNOWN: [&str; 8] = [
    "IgnoreUnknown",
    "IP",
    "MAC",
    "GATEWAY",
    "K8S_POD_NAME",
    "K8S_POD_NAMESPACE",
    "K8S_POD_INFRA_CONTAINER_ID",
    "K8S_POD_UID",
];

/// The pairs of `CNI_ARGS`, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CniArgs {
    pairs: Vec<(String, String)>,
}

impl CniArgs {
    /// Reads `text`. Code 4 for a pair without exactly one `=`, and for an unknown key unless
    /// `IgnoreUnknown` is true, wherever in the text it stands.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let pairs: Vec<_> = text.split(';').map(parse_pair).collect::<Result<_>>()?;
        let args = Self { pairs };
        if !args.ignores_unknown()? {
            args.refuse_unknown()?;
        }
        Ok(args)
    }

    /// The value of `key`; the last one when it is given twice, nothing when it is empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// `<namespace>/<name>` of the Kubernetes pod, when the runtime says both.
    pub fn pod(&self) -> Option<String> {
        let (namespace, name) = (self.get("K8S_POD_NAMESPACE")?, self.get("K8S_POD_NAME")?);
        Some(format!("{namespace}/{name}"))
    }

    fn ignores_unknown(&self) -> Result<bool> {
        match self.get("IgnoreUnknown").map(str::to_ascii_lowercase).as_deref() {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(other) => Err(invalid(format!(
                "ARGS: error parsing value of pair \"IgnoreUnknown={other}\": must be 1 or true, 0 or false"
            ))),
        }
    }

    fn refuse_unknown(&self) -> Result<()> {
        let unknown: Vec<String> = self
            .pairs
            .iter()
            .filter(|(key, _)| !KNOWN.contains(&key.as_str()))
            .map(|(key, value)| format!("\"{key}={value}\""))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(invalid(format!("ARGS: unknown args [{}]", unknown.join(" "))))
    }
}

fn parse_pair(pair: &str) -> Result<(String, String)> {
    match pair.split_once('=') {
        Some((key, value)) if !value.contains('=') => Ok((key.to_owned(), value.to_owned())),
        _ => Err(invalid(format!("ARGS: invalid pair {pair:?}"))),
    }
}

fn invalid(message: String) -> Error {
    Error::new(Code::InvalidEnvironment, message).with_details("CNI_ARGS")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let error = CniArgs::parse(text).unwrap_err();
        assert!(error.is(Code::InvalidEnvironment));
        error.message().to_owned()
    }

    #[test]
    fn an_unknown_key_is_an_error_unless_ignored_anywhere() {
        assert_eq!(fault("FOO=1;IP=10.0.0.2"), "ARGS: unknown args [\"FOO=1\"]");
        for ignore in ["1", "true", "TRUE", "True"] {
            let text = format!("FOO=1;IgnoreUnknown={ignore};IP=10.0.0.2");
            assert_eq!(CniArgs::parse(&text).unwrap().get("IP"), Some("10.0.0.2"));
        }
        assert_eq!(fault("IgnoreUnknown=0;FOO=1"), "ARGS: unknown args [\"FOO=1\"]");
        assert!(fault("IgnoreUnknown=maybe").contains("maybe"));
    }

    #[test]
    fn a_pair_has_exactly_one_equals_sign() {
        for text in ["IP", "IP=1=2", "IP=1;", ";IP=1", ";"] {
            assert!(fault(text).starts_with("ARGS: invalid pair"), "{text}");
        }
        assert_eq!(CniArgs::parse("").unwrap(), CniArgs::default());
        assert_eq!(CniArgs::parse("IP=").unwrap().get("IP"), None);
    }

    #[test]
    fn a_pod_needs_both_its_names() {
        let args = CniArgs::parse("K8S_POD_NAME=web-0;K8S_POD_NAMESPACE=shop").unwrap();
        assert_eq!(args.pod().as_deref(), Some("shop/web-0"));
        assert_eq!(CniArgs::parse("K8S_POD_NAME=web-0").unwrap().pod(), None);
    }
}
