//! The modules of the crate, what each defines, and which file each path in the code refers to. Test code is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, UseTree,
    visit::{self, Visit},
};

/// Re-exports of re-exports; more is a mistake in this file.
const MAX_DEPTH: usize = 12;

#[derive(Default)]
struct Module {
    /// Below `src`.
    file: PathBuf,
    children: BTreeSet<String>,
    types: Vec<String>,
    /// Free functions and methods of types, but not of traits.
    functions: Vec<String>,
    other_items: Vec<String>,
    /// The name in this module, and the path that it imports.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths in the code, as written. Re-exports are no use.
    paths: BTreeSet<Vec<String>>,
}

/// A reference from one file to another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    pub from: PathBuf,
    pub to: PathBuf,
    pub path: String,
}

/// Modules by their path from the crate's root.
pub struct CrateGraph(BTreeMap<Vec<String>, Module>);

impl CrateGraph {
    /// Follows `mod` items from `src/lib.rs`.
    pub fn read(src: &Path) -> Self {
        let mut graph = Self(BTreeMap::new());
        graph.read_file(src, Path::new("lib.rs"), Vec::new());
        graph
    }

    fn read_file(&mut self, src: &Path, file: &Path, module: Vec<String>) {
        let text = fs::read_to_string(src.join(file)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.read_items(src, file, module, &parsed.items);
    }

    fn read_items(&mut self, src: &Path, file: &Path, path: Vec<String>, items: &[Item]) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items {
            if let Item::Mod(child) = item
                && !is_test_only(&child.attrs)
            {
                let name = child.ident.to_string();
                let child_path = [path.as_slice(), std::slice::from_ref(&name)].concat();
                match &child.content {
                    Some((_, items)) => self.read_items(src, file, child_path, items),
                    None => self.read_file(src, &child_file(src, file, &name), child_path),
                }
                module.children.insert(name);
            } else if !matches!(item, Item::Mod(_)) {
                module.visit_item(item);
            }
        }
        self.0.insert(path, module);
    }

    /// The file that defines what `path`, written in `module`, names; `None` for other crates.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<&Path> {
        assert!(depth < MAX_DEPTH, "{path:?} in {module:?}");
        let mut at = module.to_vec();
        let mut rest = path;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                name => {
                    let known = self.0.get(&at)?;
                    if known.children.contains(name) {
                        at.push(name.to_owned());
                    } else if known.defines(name) {
                        return Some(&known.file);
                    } else if let Some(import) = known.imports.get(name).filter(|import| import.as_slice() != rest) {
                        let target = [import.as_slice(), others].concat();
                        return self.resolve(&at, &target, depth + 1);
                    } else {
                        // The first name may be a crate; a later one is made by a macro, in the module's own file.
                        return (rest.len() < path.len()).then_some(&*known.file);
                    }
                }
            }
            rest = others;
        }
        self.0.get(&at).map(|found| &*found.file)
    }

    /// Every path to another file of the crate.
    pub fn references(&self) -> BTreeSet<Reference> {
        let mut references = BTreeSet::new();
        for (path, module) in &self.0 {
            for written in &module.paths {
                if let Some(to) = self.resolve(path, written, 0).filter(|to| *to != module.file) {
                    references.insert(Reference {
                        from: module.file.clone(),
                        to: to.to_owned(),
                        path: written.join("::"),
                    });
                }
            }
        }
        references
    }

    /// Each type with the file that defines it.
    pub fn types(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0.values().flat_map(|module| module.types.iter().map(|name| (name.as_str(), &*module.file)))
    }

    /// Each function and method with the file that defines it.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0.values().flat_map(|module| module.functions.iter().map(|name| (name.as_str(), &*module.file)))
    }
}

fn child_file(src: &Path, file: &Path, name: &str) -> PathBuf {
    let folder = match file.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs") => file.with_file_name(""),
        _ => file.with_extension(""),
    };
    let flat = folder.join(format!("{name}.rs"));
    if src.join(&flat).exists() { flat } else { folder.join(name).join("mod.rs") }
}

fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

fn item_attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl Module {
    fn defines(&self, name: &str) -> bool {
        [&self.types, &self.functions, &self.other_items].iter().any(|names| names.iter().any(|n| n == name))
    }

    fn add_imports(&mut self, prefix: &mut Vec<String>, tree: &UseTree, re_export: bool) {
        let (name, path) = match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.add_imports(prefix, &path.tree, re_export);
                prefix.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_imports(prefix, tree, re_export);
                }
                return;
            }
            UseTree::Name(name) if name.ident == "self" => (prefix.last().cloned(), prefix.clone()),
            UseTree::Name(name) => (Some(name.ident.to_string()), [&**prefix, &[name.ident.to_string()]].concat()),
            UseTree::Rename(rename) => {
                (Some(rename.rename.to_string()), [&**prefix, &[rename.ident.to_string()]].concat())
            }
            _ => (None, prefix.clone()),
        };
        if !re_export {
            self.paths.insert(path.clone());
        }
        self.imports.extend(name.map(|name| (name, path)));
    }

    /// Paths in the arguments of a macro, which are not parsed.
    fn add_macro_paths(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if colons == 2 || path.is_empty() => path.push(ident.to_string()),
                TokenTree::Ident(ident) => {
                    self.add_path(std::mem::take(&mut path));
                    path.push(ident.to_string());
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.add_path(std::mem::take(&mut path));
                    self.add_macro_paths(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.add_path(std::mem::take(&mut path)),
            }
            colons = 0;
        }
        self.add_path(path);
    }

    /// A single name is a local one or imported, which counts already.
    fn add_path(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.paths.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test_only(item_attributes(item)) {
            return;
        }
        match item {
            Item::Struct(item) => self.types.push(item.ident.to_string()),
            Item::Enum(item) => self.types.push(item.ident.to_string()),
            Item::Union(item) => self.types.push(item.ident.to_string()),
            Item::Type(item) => self.types.push(item.ident.to_string()),
            Item::Trait(item) => self.types.push(item.ident.to_string()),
            Item::Fn(item) => self.functions.push(item.sig.ident.to_string()),
            Item::Const(item) => self.other_items.push(item.ident.to_string()),
            Item::Static(item) => self.other_items.push(item.ident.to_string()),
            Item::Macro(item) => self.other_items.extend(item.ident.as_ref().map(ToString::to_string)),
            Item::Use(item) => {
                let re_export = !matches!(item.vis, syn::Visibility::Inherited);
                self.add_imports(&mut Vec::new(), &item.tree, re_export);
            }
            Item::Impl(item) if item.trait_.is_none() => {
                for method in &item.items {
                    if let ImplItem::Fn(method) = method
                        && !is_test_only(&method.attrs)
                    {
                        self.functions.push(method.sig.ident.to_string());
                    }
                }
            }
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, method: &'ast syn::ImplItemFn) {
        if !is_test_only(&method.attrs) {
            visit::visit_impl_item_fn(self, method);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add_path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.add_macro_paths(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}
