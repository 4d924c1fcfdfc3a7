//! Filling in a network list as containerd does: of Go's templates, what such lists use.

/// What a template may name.
pub(crate) struct Values {
    ranges: Vec<String>,
    routes: Vec<String>,
}

impl Values {
    /// What containerd makes of a node's ranges: all of them, and a default route per family.
    pub(crate) fn of(ranges: &[&str]) -> Self {
        let route = |range: &&str| if range.contains(':') { "::/0" } else { "0.0.0.0/0" };
        Self {
            ranges: ranges.iter().map(ToString::to_string).collect(),
            routes: ranges.iter().map(|range| route(range).to_owned()).collect(),
        }
    }

    fn list(&self, name: &str) -> &[String] {
        match name {
            ".PodCIDRRanges" => &self.ranges,
            ".Routes" => &self.routes,
            other => panic!("{other} is no list that containerd fills in"),
        }
    }
}

/// Where in a `range` the rendering is: the names of index and element, and their values.
#[derive(Clone, Copy)]
struct Turn<'a> {
    names: (&'a str, &'a str),
    index: usize,
    element: &'a str,
}

/// The text with every `{{…}}` filled in.
pub(crate) fn render(template: &str, values: &Values) -> String {
    let mut rest = template;
    let mut out = String::new();
    while !rest.is_empty() {
        rest =
            step(rest, values, None, &mut out).unwrap_or_else(|| panic!("end of nothing: {rest}"));
    }
    out
}

/// Renders the text up to and including the next action; `None` when that is `{{end}}`.
fn step<'a>(
    template: &'a str,
    values: &Values,
    turn: Option<Turn<'_>>,
    out: &mut String,
) -> Option<&'a str> {
    let Some((text, after)) = template.split_once("{{") else {
        out.push_str(template);
        return Some("");
    };
    out.push_str(text);
    let (action, after) = after.split_once("}}").expect("an action ends");
    let words: Vec<&str> = action.split_whitespace().collect();
    match words[..] {
        ["end"] => return None,
        [".PodCIDR"] => out.push_str(&values.ranges[0]),
        ["range", index, element, ":=", list] => {
            let (body, after) = body(after);
            let names = (index.trim_end_matches(','), element);
            for (index, element) in values.list(list).iter().enumerate() {
                block(body, values, Some(Turn { names, index, element }), out);
            }
            return Some(after);
        }
        ["if", name] => {
            let (body, after) = body(after);
            let turn = turn.expect("if is inside a range");
            assert_eq!(name, turn.names.0, "if asks for the index");
            // Zero is false.
            if turn.index > 0 {
                block(body, values, Some(turn), out);
            }
            return Some(after);
        }
        [name] => {
            let turn = turn.unwrap_or_else(|| panic!("{name} is outside of a range"));
            assert_eq!(name, turn.names.1, "not the element's name");
            out.push_str(turn.element);
        }
        _ => panic!("not known: {action}"),
    }
    Some(after)
}

fn block(body: &str, values: &Values, turn: Option<Turn<'_>>, out: &mut String) {
    let mut rest = body;
    while !rest.is_empty() {
        rest = step(rest, values, turn, out).expect("a body has no end of its own");
    }
}

/// What stands before the `{{end}}` of a block, and what after it.
fn body(text: &str) -> (&str, &str) {
    let (mut depth, mut from) = (1, 0);
    while let Some(start) = text[from..].find("{{") {
        let start = from + start;
        let end = start + text[start..].find("}}").expect("an action ends") + 2;
        match text[start + 2..end - 2].split_whitespace().next() {
            Some("range" | "if") => depth += 1,
            Some("end") => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&text[..start], &text[end..]);
        }
        from = end;
    }
    panic!("no end: {text}")
}

#[test]
fn a_template_is_filled_in_as_by_containerd() {
    let template = r#""{{.PodCIDR}}" [{{range $i, $range := .PodCIDRRanges}}{{if $i}}, {{end}}[{"subnet": "{{$range}}"}]{{end}}] [{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}]"#;
    let both = Values::of(&["10.0.0.0/24", "2001:4860:4860::/64"]);
    assert_eq!(
        render(template, &both),
        r#""10.0.0.0/24" [[{"subnet": "10.0.0.0/24"}], [{"subnet": "2001:4860:4860::/64"}]] [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]"#
    );
    let one = Values::of(&["10.0.0.0/24"]);
    assert_eq!(
        render(template, &one),
        r#""10.0.0.0/24" [[{"subnet": "10.0.0.0/24"}]] [{"dst": "0.0.0.0/0"}]"#
    );
}
