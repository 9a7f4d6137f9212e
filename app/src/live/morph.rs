//! Makes a part of the page into what it has become, and touches only what differs: so the focus, selected text, what is scrolled and
//! what is under the pointer stay where they are.

use std::iter::successors;

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, Node};

/// Makes `old` like `new`, whose nodes may be taken out of it. What the viewer opened stays open.
///
/// # Errors
/// None that is known of; the browser's signatures have them.
pub fn morph(old: &Node, new: &Node) -> Result<(), JsValue> {
    if old.is_equal_node(Some(new)) {
        return Ok(());
    }
    match (old.dyn_ref::<Element>(), new.dyn_ref::<Element>()) {
        (Some(element), Some(fresh)) => {
            take_attributes(element, fresh)?;
            take_children(old, new)
        }
        _ => {
            old.set_node_value(new.node_value().as_deref());
            Ok(())
        }
    }
}

fn take_attributes(old: &Element, new: &Element) -> Result<(), JsValue> {
    // Whether details are open is the viewer's choice.
    let is_ours = |name: &String| name != "open";
    for name in attributes(old).filter(is_ours).filter(|name| !new.has_attribute(name)) {
        old.remove_attribute(&name)?;
    }
    for name in attributes(new).filter(is_ours) {
        let value = new.get_attribute(&name);
        if old.get_attribute(&name) != value {
            old.set_attribute(&name, &value.unwrap_or_default())?;
        }
    }
    Ok(())
}

fn take_children(old: &Node, new: &Node) -> Result<(), JsValue> {
    // Rows that are gone go first, so that none below has to be moved, which would take the focus from it.
    let keys: Vec<_> = siblings(new.first_child()).filter_map(|node| key(&node)).collect();
    for gone in siblings(old.first_child()).filter(|node| key(node).is_some_and(|key| !keys.contains(&key))) {
        old.remove_child(&gone)?;
    }
    let mut next = old.first_child();
    for fresh in siblings(new.first_child()) {
        match siblings(next.clone()).find(|node| is_same(node, &fresh)) {
            Some(node) if Some(&node) == next.as_ref() => {
                next = node.next_sibling();
                morph(&node, &fresh)?;
            }
            Some(node) => {
                old.insert_before(&node, next.as_ref())?;
                morph(&node, &fresh)?;
            }
            None => {
                old.insert_before(&fresh, next.as_ref())?;
            }
        }
    }
    for rest in siblings(next) {
        old.remove_child(&rest)?;
    }
    Ok(())
}

/// Whether one is what has become of the other.
fn is_same(old: &Node, new: &Node) -> bool {
    old.node_name() == new.node_name() && key(old) == key(new)
}

/// What tells an element from its siblings: its id, or what a row is about by `data-…-id`, by where its first link leads, or by what its
/// form sends.
fn key(node: &Node) -> Option<String> {
    let element = node.dyn_ref::<Element>()?;
    let id = element.id();
    if !id.is_empty() {
        return Some(id);
    }
    if !matches!(element.tag_name().as_str(), "TR" | "LI") {
        return None;
    }
    if let Some(name) = attributes(element).find(|name| name.starts_with("data-") && name.ends_with("-id")) {
        return element.get_attribute(&name);
    }
    let about = element.query_selector("a[href], input[type=hidden]").ok()??;
    about.get_attribute("href").or_else(|| about.get_attribute("value"))
}

fn attributes(element: &Element) -> impl Iterator<Item = String> + use<> {
    element.get_attribute_names().into_iter().filter_map(|name| name.as_string())
}

/// A node and those after it. The one that it gave last may be moved or removed.
fn siblings(first: Option<Node>) -> impl Iterator<Item = Node> {
    successors(first, Node::next_sibling)
}
