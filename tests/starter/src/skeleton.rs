//! The skeleton of a body: its branches and loops, and what it gives names to. A computation is
//! `…`, with the names of what it calls: `if … len, is_empty {`.

use syn::visit::Visit;
use syn::{Block, Expr, ExprCall, ExprMethodCall, ExprPath, Local, Macro, Pat, Path, Stmt};

use crate::failure::{Failure, Result};

/// Returns the skeleton of what stands between a function's braces.
///
/// # Errors
/// If it is not Rust.
pub fn skeleton(body: &str) -> Result<String> {
    let text = format!("{{{body}}}");
    let block: Block =
        syn::parse_str(&text).map_err(|error| Failure(format!("a body is not Rust: {error}")))?;
    let mut outline = Outline { text: &text, lines: Vec::new(), depth: 0 };
    outline.block(&block);
    Ok(outline.lines.join("\n"))
}

struct Outline<'t> {
    text: &'t str,
    lines: Vec<String>,
    depth: usize,
}

impl Outline<'_> {
    fn line(&mut self, line: &str) {
        let line = format!("{}{line}", "    ".repeat(self.depth));
        // Two steps one after the other tell no more than one.
        if !(line.trim_start().starts_with('…') && self.lines.last() == Some(&line)) {
            self.lines.push(line);
        }
    }

    fn block(&mut self, block: &Block) {
        self.depth += 1;
        for statement in &block.stmts {
            match statement {
                Stmt::Local(local) => self.local(local),
                Stmt::Expr(expression, semicolon) => {
                    self.expression("", expression, if semicolon.is_some() { ";" } else { "" });
                }
                Stmt::Macro(call) => self.line(&format!("… {}!;", name(&call.mac.path))),
                Stmt::Item(_) => self.line("…;"),
            }
        }
        self.depth -= 1;
    }

    fn local(&mut self, local: &Local) {
        let head = format!("let {} = ", self.pattern(&local.pat));
        let Some(init) = &local.init else { return self.line(&head.replace(" = ", ";")) };
        match init.diverge.as_ref().map(|(_, otherwise)| &**otherwise) {
            Some(Expr::Block(otherwise)) => {
                self.line(&format!("{head}{} else {{", computed(&init.expr)));
                self.block(&otherwise.block);
                self.line("};");
            }
            _ => self.expression(&head, &init.expr, ";"),
        }
    }

    /// Adds an expression between what is before it and what is behind it.
    fn expression(&mut self, head: &str, expression: &Expr, tail: &str) {
        match expression {
            Expr::If(_) => self.branches(head, expression, tail),
            Expr::Match(choice) => {
                self.line(&format!("{head}match {} {{", computed(&choice.expr)));
                self.depth += 1;
                for arm in &choice.arms {
                    let guard = arm.guard.as_ref().map(|(_, guard)| computed(guard));
                    let guard = guard.map(|guard| format!(" if {guard}")).unwrap_or_default();
                    let head = format!("{}{guard} => ", self.pattern(&arm.pat));
                    self.expression(&head, &arm.body, ",");
                }
                self.depth -= 1;
                self.line(&format!("}}{tail}"));
            }
            Expr::While(round) => {
                let head = format!("{head}while {} {{", self.condition(&round.cond));
                self.framed(&head, &round.body, tail);
            }
            Expr::ForLoop(round) => {
                let (pattern, all) = (self.pattern(&round.pat), computed(&round.expr));
                let head = format!("{head}for {pattern} in {all} {{");
                self.framed(&head, &round.body, tail);
            }
            Expr::Loop(round) => self.framed(&format!("{head}loop {{"), &round.body, tail),
            Expr::Block(inner) => self.framed(&format!("{head}{{"), &inner.block, tail),
            Expr::Return(end) => {
                let what = end.expr.as_ref().map(|what| format!(" {}", computed(what)));
                self.line(&format!("{head}return{}{tail}", what.unwrap_or_default()));
            }
            Expr::Break(_) => self.line(&format!("{head}break{tail}")),
            Expr::Continue(_) => self.line(&format!("{head}continue{tail}")),
            _ => self.line(&format!("{head}{}{tail}", computed(expression))),
        }
    }

    fn branches(&mut self, head: &str, expression: &Expr, tail: &str) {
        let mut head = head.to_owned();
        let mut rest = Some(expression);
        while let Some(expression) = rest {
            rest = None;
            match expression {
                Expr::If(branch) => {
                    self.line(&format!("{head}if {} {{", self.condition(&branch.cond)));
                    self.block(&branch.then_branch);
                    rest = branch.else_branch.as_ref().map(|(_, otherwise)| &**otherwise);
                }
                Expr::Block(otherwise) => {
                    self.line(&format!("{head}{{"));
                    self.block(&otherwise.block);
                }
                _ => {}
            }
            head = "} else ".to_owned();
        }
        self.line(&format!("}}{tail}"));
    }

    fn framed(&mut self, head: &str, block: &Block, tail: &str) {
        self.line(head);
        self.block(block);
        self.line(&format!("}}{tail}"));
    }

    /// `…`, or `let Some(x) = …`.
    fn condition(&self, condition: &Expr) -> String {
        match condition {
            Expr::Let(binding) => {
                format!("let {} = {}", self.pattern(&binding.pat), computed(&binding.expr))
            }
            _ => computed(condition),
        }
    }

    fn pattern(&self, pattern: &Pat) -> String {
        let range = syn::spanned::Spanned::span(pattern).byte_range();
        let text = self.text.get(range).unwrap_or("…");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Returns `…` for an expression, with the names of what it calls.
fn computed(expression: &Expr) -> String {
    let mut calls = Calls::default();
    calls.visit_expr(expression);
    match calls.0.is_empty() {
        true => "…".to_owned(),
        false => format!("… {}", calls.0.join(", ")),
    }
}

/// The functions, macros, variants and constants of an expression, in their order.
#[derive(Default)]
struct Calls(Vec<String>);

impl<'t> Visit<'t> for Calls {
    fn visit_expr_method_call(&mut self, call: &'t ExprMethodCall) {
        self.visit_expr(&call.receiver);
        self.0.push(call.method.to_string());
        call.args.iter().for_each(|argument| self.visit_expr(argument));
    }

    fn visit_expr_call(&mut self, call: &'t ExprCall) {
        match &*call.func {
            Expr::Path(function) => self.0.push(name(&function.path)),
            other => self.visit_expr(other),
        }
        call.args.iter().for_each(|argument| self.visit_expr(argument));
    }

    fn visit_expr_path(&mut self, path: &'t ExprPath) {
        let name = name(&path.path);
        // Not variables: what they are called says nothing here.
        if name.contains(char::is_uppercase) || name.contains("::") {
            self.0.push(name);
        }
    }

    fn visit_macro(&mut self, call: &'t Macro) {
        self.0.push(format!("{}!", name(&call.path)));
    }
}

/// Returns `Claim::Over`.
fn name(path: &Path) -> String {
    let segments = path.segments.iter().map(|segment| segment.ident.to_string());
    segments.collect::<Vec<_>>().join("::")
}
