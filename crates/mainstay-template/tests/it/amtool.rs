//! Written snippets, rendered by amtool and by us.

use mainstay_template::Version;

use super::support::{Amtool, ours};

const SNIPPETS: &str = include_str!("snippets.txt");

/// What a later Alertmanager does otherwise than 0.25, by name; such snippets are compared with 0.25 alone.
const ONLY_IN_0_25: [&str; 1] = ["printing label sets and pairs"];

struct Snippet {
    name: &'static str,
    html: bool,
    text: &'static str,
}

fn snippets() -> Vec<Snippet> {
    let mut section = "";
    SNIPPETS
        .split("\n===")
        .skip(1)
        .map(|block| {
            let (head, text) = block.split_once('\n').unwrap_or((block, ""));
            let name = head.trim_end_matches("(html)").trim();
            if !name.is_empty() {
                section = name;
            }
            Snippet {
                name: section,
                html: head.ends_with("(html)"),
                text,
            }
        })
        .collect()
}

#[test]
fn snippets_render_as_amtool_renders_them() {
    let Some(amtool) = Amtool::find() else { return };
    let (mut rendered, mut refused, mut wrong) = (0, 0, Vec::new());
    let snippets = snippets();
    for snippet in &snippets {
        if amtool.version != Version::V0_25 && ONLY_IN_0_25.contains(&snippet.name) {
            continue;
        }
        let theirs = amtool.render(snippet.html, snippet.text);
        let ours = ours(snippet.html, snippet.text, amtool.version);
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => rendered += 1,
            (Err(_), Err(_)) => refused += 1,
            _ => wrong.push(format!(
                "{}: {:?}\n  ours   {ours:?}\n  amtool {theirs:?}",
                snippet.name, snippet.text
            )),
        }
    }
    println!(
        "{} snippets: {rendered} rendered, {refused} refused by both",
        snippets.len()
    );
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        rendered > 150 && refused > 30,
        "{rendered} rendered, {refused} refused"
    );
}
