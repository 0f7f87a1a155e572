//! Rust files in which the bodies of functions are taken out and put in.
//!
//! Nothing is printed from a tree: the parser only tells where a body begins and ends, and all
//! else stays to the byte.

use std::ops::{Range, RangeInclusive};
use std::path::Path;

use quote::ToTokens;
use syn::{ImplItem, Item, ReturnType, Signature, TraitItem, Type, TypeParamBound};

use crate::failure::{Failure, Result, fail};
use crate::prefix::read;

/// A file with its functions.
#[derive(Debug)]
pub struct Source {
    /// Its path in the crate: `src/s05_messages.rs`.
    pub file: String,
    /// Its text.
    pub text: String,
    functions: Vec<Function>,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its path in the file, as the list of exercises has it.
    pub path: String,
    /// Its signature, spaced as a row of tokens.
    pub signature: String,
    /// What stands between its braces, in bytes.
    pub body: Range<usize>,
    /// The spaces before its first line.
    indent: String,
    returns: Returns,
    returns_something: bool,
}

/// What a function's `todo!()` has to pass for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Returns {
    Plain,
    Iterator,
    /// Another `impl Trait`, which nothing stands in for.
    Opaque(String),
}

impl Source {
    /// Reads a file of a tree.
    ///
    /// # Errors
    /// If it cannot be read, or is not Rust.
    pub fn read(root: &Path, file: &str) -> Result<Source> {
        Source::parse(file, read(&root.join(file))?)
    }

    /// Finds the functions of a text.
    ///
    /// # Errors
    /// If it is not Rust.
    pub fn parse(file: &str, text: String) -> Result<Source> {
        let tree = syn::parse_file(&text).map_err(|error| {
            let start = error.span().start();
            Failure(format!("{file}:{}:{}: {error}", start.line, start.column + 1))
        })?;
        let mut functions = Vec::new();
        collect(&text, &tree.items, "", &mut functions);
        Ok(Source { file: file.to_owned(), text, functions })
    }

    /// Returns the only function with this path.
    ///
    /// # Errors
    /// If there is none, or there are several.
    pub fn find(&self, path: &str) -> Result<&Function> {
        let mut found = self.functions.iter().filter(|function| function.path == path);
        let Some(first) = found.next() else {
            let name = path.rsplit("::").next().unwrap_or(path);
            let alike: Vec<&str> = self.functions.iter().map(|f| f.path.as_str()).collect();
            let alike = alike.into_iter().filter(|path| path.rsplit("::").next() == Some(name));
            let alike: Vec<String> = alike.map(|path| format!("`{path}`")).collect();
            let hint = match alike.is_empty() {
                true => String::new(),
                false => format!("; it has {}", alike.join(", ")),
            };
            return fail(format!("{} has no function `{path}`{hint}", self.file));
        };
        match found.count() {
            0 => Ok(first),
            more => {
                fail(format!("{} has `{path}` {} times, and once is expected", self.file, more + 1))
            }
        }
    }

    /// Returns the functions that another file does not have, or not like this.
    pub fn differences(&self, other: &Source) -> Vec<String> {
        let is_same = |function: &&Function| {
            let (path, signature) = (&function.path, &function.signature);
            let is_declared = other.find(path).is_ok_and(|other| other.signature == *signature);
            // A path that is here twice, for two systems, cannot be told.
            self.find(path).is_err() || is_declared && self.body(path).ok() == other.body(path).ok()
        };
        let all = self.functions.iter().filter(|function| !is_same(function));
        all.map(|function| format!("`{}`", function.path)).collect()
    }

    /// Returns what stands between the braces of a function.
    ///
    /// # Errors
    /// If there is no such function.
    pub fn body(&self, path: &str) -> Result<&str> {
        Ok(&self.text[self.find(path)?.body.clone()])
    }

    /// Returns the lines on which a function's body lies, from 1.
    ///
    /// # Errors
    /// If there is no such function.
    pub fn lines(&self, path: &str) -> Result<RangeInclusive<usize>> {
        let body = &self.find(path)?.body;
        let line = |at: usize| 1 + self.text[..at].matches('\n').count();
        Ok(line(body.start)..=line(body.end))
    }

    /// Returns the text with other bodies in some of its functions.
    ///
    /// # Errors
    /// If one of the functions is not there.
    pub fn with_bodies<'b>(
        &self,
        bodies: impl IntoIterator<Item = (&'b str, &'b str)>,
    ) -> Result<String> {
        let mut ranges = Vec::new();
        for (path, body) in bodies {
            ranges.push((self.find(path)?.body.clone(), body));
        }
        // From the end, so that earlier places stay valid.
        ranges.sort_by_key(|(range, _)| range.start);
        let mut text = self.text.clone();
        for (range, body) in ranges.into_iter().rev() {
            text.replace_range(range, body);
        }
        Ok(text)
    }
}

impl Function {
    /// Returns the body of a hole: the task as a comment, and a `todo!` with the path.
    ///
    /// # Errors
    /// If it returns an `impl Trait` for which there is no stand-in.
    pub fn empty(&self, path: &str, task: &str) -> Result<String> {
        let inner = format!("{}    ", self.indent);
        let todo = format!("todo!({path:?})");
        let code = match &self.returns {
            Returns::Plain => todo,
            // `!` becomes `()`, and `()` is no iterator.
            Returns::Iterator => {
                format!("let hole: std::iter::Empty<_> = {todo};\n{inner}hole")
            }
            Returns::Opaque(what) => {
                return fail(format!("`{path}` returns `{what}`, which `todo!()` cannot pass for"));
            }
        };
        let comment: String =
            wrap(task, 96 - inner.len()).iter().map(|line| format!("{inner}// {line}\n")).collect();
        Ok(format!("\n{comment}{inner}{code}\n{}", self.indent))
    }

    /// Returns the body of a hole in which nothing may panic: the task as a comment, and no code.
    ///
    /// # Errors
    /// If the function returns anything.
    pub fn quiet(&self, task: &str) -> Result<String> {
        if self.returns_something {
            return fail(format!("`{}` returns something, so it cannot be quiet", self.path));
        }
        let inner = format!("{}    ", self.indent);
        let comment: String =
            wrap(task, 96 - inner.len()).iter().map(|line| format!("{inner}// {line}\n")).collect();
        Ok(format!("\n{comment}{}", self.indent))
    }
}

/// Breaks a text into lines of this width.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < width => {
                *line += " ";
                *line += word;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Adds the functions of some items, those of inline modules included.
fn collect(text: &str, items: &[Item], module: &str, found: &mut Vec<Function>) {
    let mut add = |owner: &str, signature: &Signature, block: &syn::Block| {
        found.push(function(text, format!("{module}{owner}{}", signature.ident), signature, block));
    };
    for item in items {
        match item {
            Item::Fn(item) => add("", &item.sig, &item.block),
            Item::Impl(item) => {
                let of = type_name(&item.self_ty);
                let owner = match &item.trait_ {
                    Some((_, path, _)) => format!("{of} as {}::", last_word(path)),
                    None => format!("{of}::"),
                };
                for method in &item.items {
                    if let ImplItem::Fn(method) = method {
                        add(&owner, &method.sig, &method.block);
                    }
                }
            }
            Item::Trait(item) => {
                for method in &item.items {
                    if let TraitItem::Fn(method) = method
                        && let Some(block) = &method.default
                    {
                        add(&format!("{}::", item.ident), &method.sig, block);
                    }
                }
            }
            _ => {}
        }
    }
    for item in items {
        if let Item::Mod(item) = item
            && let Some((_, items)) = &item.content
        {
            collect(text, items, &format!("{module}{}::", item.ident), found);
        }
    }
}

fn function(text: &str, path: String, signature: &Signature, block: &syn::Block) -> Function {
    let braces = block.brace_token.span;
    // Spans count characters; `byte_range` counts bytes, which is what strings are cut by.
    let body = braces.open().byte_range().end..braces.close().byte_range().start;
    let start = signature.fn_token.span.byte_range().start;
    let line = &text[text[..start].rfind('\n').map_or(0, |at| at + 1)..start];
    let indent = line.chars().take_while(|c| *c == ' ').collect();
    let returns_something = matches!(signature.output, ReturnType::Type(..));
    let returns = returns(&signature.output);
    Function {
        path,
        signature: signature.to_token_stream().to_string(),
        body,
        indent,
        returns,
        returns_something,
    }
}

fn returns(output: &ReturnType) -> Returns {
    let ReturnType::Type(_, output) = output else { return Returns::Plain };
    let Type::ImplTrait(opaque) = &**output else { return Returns::Plain };
    let is_iterator = opaque.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => last_word(&bound.path).ends_with("Iterator"),
        _ => false,
    });
    if is_iterator {
        Returns::Iterator
    } else {
        Returns::Opaque(opaque.to_token_stream().to_string())
    }
}

/// `Reader` for `&'a mut Reader<R>`.
fn type_name(of: &Type) -> String {
    match of {
        Type::Path(path) => last_word(&path.path),
        Type::Reference(reference) => type_name(&reference.elem),
        other => other.to_token_stream().to_string(),
    }
}

fn last_word(path: &syn::Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}
