// SPDX-License-Identifier: Apache-2.0
// Evaluates the blocks of bake files. Everything is evaluated when it is asked for: a variable by an expression that
// names it, an attribute of a target by an expression that refers to it, so definitions stand in any order; one that is
// asked for while it is being evaluated is a cycle. A target with a matrix is evaluated once for each combination of
// the matrix, with its names bound.
#include "bake/blocks.h"

#include <algorithm>
#include <memory>
#include <set>

#include "bake/attributes.h"
#include "bake/hcl/convert.h"
#include "bake/hcl/evaluate.h"
#include "bake/hcl/functions.h"
#include "bake/hcl/parser.h"
#include "bake/variables.h"
#include "base/files.h"
#include "base/text.h"

namespace cbuild::bake {
namespace {

using hcl::Scope;
using hcl::Value;
using hcl::ValueError;

constexpr std::size_t kMaxMatrix = 10000;

[[noreturn]] void fail_block(const Span& span, std::string message, std::string hint = "") {
  throw DiagnosticError({Diagnostic{Severity::error, span, std::move(message), std::move(hint), ""}});
}

/// One combination of the matrix of a block; a block without one has one of no names.
struct Variant {
  const hcl::Block* block = nullptr;
  std::map<std::string, Value> bound;
  std::string name;
  Target target;
  std::map<std::string, Value> seen;  ///< attributes that are evaluated, as expressions see them
};

class Blocks : public hcl::Names {
 public:
  Blocks(const std::vector<hcl::Body>& files, const VariableSources& sources);

  std::optional<Value> variable(const std::string& name) override;
  const hcl::UserFunction* function(const std::string& name) override;
  bool is_block(const std::string& root) const override { return root == "target" || root == "group"; }
  std::optional<Value> block(const std::string& root, const std::string& name, const std::string& attribute) override;
  std::vector<std::string> known_names() const override;

  /// Evaluates all, and adds it to `config`.
  void read(Config& config);

 private:
  Scope scope() { return Scope{*this, budget_}; }
  void add_file(const hcl::Body& file);
  Value resolve_variable(const std::string& name, const hcl::Assignment* global);
  void read_functions();
  void read_variables(Config& config);
  void expand(const hcl::Block& block);
  Value attribute(Variant& variant, const std::string& name);
  void evaluate_target(Variant& variant);
  Group evaluate_group(const hcl::Block& block);

  const VariableSources& sources_;
  hcl::Budget budget_;
  std::map<std::string, VariableBlock> variables_;
  std::map<std::string, const hcl::Assignment*> globals_;
  std::map<std::string, const hcl::Block*> function_blocks_;
  std::map<std::string, hcl::UserFunction> functions_;
  std::map<std::string, TypedValue> values_;
  std::set<std::string> in_progress_;
  std::vector<const hcl::Block*> groups_, targets_;
  std::vector<std::unique_ptr<Variant>> variants_;
};

Blocks::Blocks(const std::vector<hcl::Body>& files, const VariableSources& sources) : sources_(sources) {
  for (const hcl::Body& file : files) add_file(file);
}

const std::string& only_label(const hcl::Block& block) {
  if (block.labels.size() != 1)
    fail_block(block.label_span, cat("a ", block.type, " has one name"), cat("such as: ", block.type, " \"name\" {"));
  return block.labels.front();
}

void Blocks::add_file(const hcl::Body& file) {
  const auto reserved = [&](const std::string& name) { return is_block(name) || sources_.builtin.contains(name); };
  for (const hcl::Assignment& global : file.attributes)
    if (!reserved(global.name) && global.name != "function") globals_[global.name] = &global;
  for (const hcl::Block& block : file.blocks) {
    if (block.type == "target") targets_.push_back(&block);
    if (block.type == "group") groups_.push_back(&block);
    if (block.type == "function" && !reserved(only_label(block))) function_blocks_[block.labels.front()] = &block;
    if (block.type != "variable") continue;
    VariableBlock variable = read_variable(block);
    if (!reserved(variable.name)) variables_.insert_or_assign(variable.name, std::move(variable));
  }
}

/// Marks `key` as being evaluated until scope end.
ScopeExit begin_evaluation(std::set<std::string>& in_progress, const std::string& key, const Span& span,
                           const std::string& subject) {
  if (!in_progress.insert(key).second) fail_block(span, cat(subject, " refers to itself"));
  return ScopeExit([&in_progress, key] { in_progress.erase(key); });
}

Value Blocks::resolve_variable(const std::string& name, const hcl::Assignment* global) {
  const auto found = variables_.find(name);
  const VariableBlock* variable = found == variables_.end() ? nullptr : &found->second;
  const Span& span = global ? global->name_span : variable->span;
  const ScopeExit done = begin_evaluation(in_progress_, name, span, cat("variable ", go_quote(name)));
  if (!global) {
    const auto known = [&](const std::string& other) {
      return variables_.contains(other) || sources_.builtin.contains(other);
    };
    values_[name] = variable_value(*variable, scope(), sources_, known);
    return values_[name].value;
  }
  Value value = hcl::evaluate(*global->value, scope());
  const auto given = variable ? override_of(sources_, name) : std::nullopt;
  if (given) value = overridden(name, value, *given, span);
  values_[name] = {value, std::nullopt};
  return value;
}

std::optional<Value> Blocks::variable(const std::string& name) {
  if (const auto builtin = sources_.builtin.find(name); builtin != sources_.builtin.end())
    return Value::string(builtin->second);
  if (const auto known = values_.find(name); known != values_.end()) return known->second.value;
  const auto global = globals_.find(name);
  if (global == globals_.end() && !variables_.contains(name)) return std::nullopt;
  return resolve_variable(name, global == globals_.end() ? nullptr : global->second);
}

std::vector<std::string> Blocks::known_names() const {
  std::vector<std::string> out;
  for (const auto& [name, _] : variables_) out.push_back(name);
  for (const auto& [name, _] : globals_) out.push_back(name);
  for (const auto& [name, _] : sources_.builtin) out.push_back(name);
  return out;
}

const hcl::UserFunction* Blocks::function(const std::string& name) {
  const auto found = functions_.find(name);
  return found == functions_.end() ? nullptr : &found->second;
}

std::string parameter_name(const hcl::ExpressionPtr& expression) {
  const hcl::ExpressionPtr plain = hcl::unquoted(expression);
  if (const std::string* word = hcl::as_word(*plain)) return *word;
  fail_block(expression->span, "name of a parameter is not a word");
}

hcl::UserFunction read_function(const hcl::Block& block) {
  const hcl::Assignment *parameters = block.body.find("params"), *result = block.body.find("result"),
                        *rest = block.body.find("variadic_params");
  if (!parameters)
    fail_block(block.span, cat("function ", go_quote(block.labels.front()), " has no params"), "params = []");
  if (!result) fail_block(block.span, cat("function ", go_quote(block.labels.front()), " has no result"));
  const auto* list = std::get_if<hcl::Tuple>(&parameters->value->node);
  if (!list) fail_block(parameters->value->span, "params is not a list of names");
  hcl::UserFunction out;
  for (const hcl::ExpressionPtr& item : list->items) out.parameters.push_back(parameter_name(item));
  if (rest) out.rest = parameter_name(rest->value);
  out.result = result->value;
  return out;
}

/// The functions that an expression calls.
void called_functions(const hcl::Expression& expression, std::set<std::string>& out);

struct CallCollector {
  std::set<std::string>& out;
  void visit(const hcl::ExpressionPtr& child) const {
    if (child) called_functions(*child, out);
  }
  void visit(const std::vector<hcl::ExpressionPtr>& children) const {
    for (const auto& child : children) visit(child);
  }
  void operator()(const hcl::Literal&) const {}
  void operator()(const hcl::Variable&) const {}
  void operator()(const hcl::CurrentItem&) const {}
  void operator()(const hcl::Template& node) const { visit(node.parts); }
  void operator()(const hcl::Attribute& node) const { visit(node.from); }
  void operator()(const hcl::Index& node) const { visit({node.from, node.key}); }
  void operator()(const hcl::Splat& node) const { visit({node.from, node.each}); }
  void operator()(const hcl::Tuple& node) const { visit(node.items); }
  void operator()(const hcl::For& node) const { visit({node.from, node.key, node.value, node.condition}); }
  void operator()(const hcl::Unary& node) const { visit(node.operand); }
  void operator()(const hcl::Binary& node) const { visit({node.left, node.right}); }
  void operator()(const hcl::Conditional& node) const { visit({node.condition, node.yes, node.no}); }
  void operator()(const hcl::Parentheses& node) const { visit(node.inner); }
  void operator()(const hcl::Object& node) const {
    for (const auto& [key, value] : node.items) visit({key, value});
  }
  void operator()(const hcl::Call& node) const {
    out.insert(node.name);
    visit(node.arguments);
  }
};

void called_functions(const hcl::Expression& expression, std::set<std::string>& out) {
  std::visit(CallCollector{out}, expression.node);
}

constexpr std::size_t kMaxCalls = 500;

/// A walk over the functions that call each other; one that is met on its own path calls itself.
struct RecursionCheck {
  const std::map<std::string, hcl::UserFunction>& functions;
  const std::map<std::string, const hcl::Block*>& blocks;
  std::set<std::string> done;
  std::vector<std::string> path;

  void visit(const std::string& name) {
    const auto found = functions.find(name);
    if (found == functions.end() || done.contains(name)) return;
    if (path.size() > kMaxCalls || std::find(path.begin(), path.end(), name) != path.end())
      fail_block(blocks.at(name)->span, cat("function ", go_quote(name), " calls itself, or too many others"));
    path.push_back(name);
    std::set<std::string> called;
    called_functions(*found->second.result, called);
    for (const std::string& other : called) visit(other);
    path.pop_back();
    done.insert(name);
  }
};

void Blocks::read_functions() {
  for (const auto& [name, block] : function_blocks_) functions_.emplace(name, read_function(*block));
  RecursionCheck check{functions_, function_blocks_, {}, {}};
  for (const auto& [name, _] : functions_) check.visit(name);
}

void Blocks::read_variables(Config& config) {
  std::vector<const VariableBlock*> all;
  for (const auto& [name, block] : variables_) {
    (void)variable(name);
    all.push_back(&block);
    config.variables.push_back(describe(block, values_.at(name)));
  }
  check_validations(all, scope());
}

/// All combinations of the lists of a matrix.
std::vector<std::map<std::string, Value>> combinations(const Value& matrix, const Span& span) {
  if (!matrix.is_mapping()) fail_block(span, "matrix is not a map");
  std::vector<std::map<std::string, Value>> out = {{}};
  for (const auto& [name, list] : matrix.entries()) {
    if (!list.is_sequence() && !list.is_mapping())
      fail_block(span, cat(go_quote(name), " of the matrix is not a list"));
    hcl::Values items;
    if (list.is_mapping())
      for (const auto& [_, item] : list.entries()) items.push_back(item);
    else
      items = list.items();
    if (out.size() * items.size() > kMaxMatrix) fail_block(span, cat("matrix has more than ", kMaxMatrix, " targets"));
    std::vector<std::map<std::string, Value>> longer;
    for (const Value& item : items)
      for (auto bound : out) {
        bound.insert_or_assign(name, item);
        longer.push_back(std::move(bound));
      }
    out = std::move(longer);
  }
  return out;
}

void checked_name(const std::string& name, const Span& span) {
  try {
    check_target_name(name);
  } catch (const ValueError& error) {
    fail_block(span, error.what());
  }
}

/// The variants of a target, with their names.
void Blocks::expand(const hcl::Block& block) {
  const std::string& label = only_label(block);
  checked_name(label, block.label_span);
  const hcl::Assignment *matrix = block.body.find("matrix"), *name = block.body.find("name");
  if (name && !matrix) fail_block(name->name_span, "name needs a matrix", "the name of this target is its label");
  std::vector<std::map<std::string, Value>> all = {{}};
  if (matrix) all = combinations(hcl::evaluate(*matrix->value, scope()), matrix->value->span);
  std::set<std::string> names;
  for (auto& bound : all) {
    auto variant = std::make_unique<Variant>();
    variant->block = &block;
    variant->bound = std::move(bound);
    Scope inner = scope();
    inner.bound = variant->bound;
    const Value text = name ? hcl::converted(hcl::evaluate(*name->value, inner), hcl::Type::string(), name->value->span)
                            : Value::string(label);
    if (text.is_null()) fail_block(name->value->span, "name is null");
    variant->name = variant->target.name = text.as_string();
    checked_name(variant->name, name ? name->value->span : block.label_span);
    if (!names.insert(variant->name).second)
      fail_block(block.label_span, cat("two targets of the matrix have the name ", go_quote(variant->name)),
                 "use the names of the matrix in `name`");
    variants_.push_back(std::move(variant));
  }
}

Value Blocks::attribute(Variant& variant, const std::string& name) {
  if (const auto seen = variant.seen.find(name); seen != variant.seen.end()) return seen->second;
  const hcl::Assignment* assignment = variant.block->body.find(name);
  if (!assignment) return variant.seen.insert_or_assign(name, unset_attribute(name)).first->second;
  const std::string path = cat("target.", variant.name, ".", name);
  const ScopeExit done = begin_evaluation(in_progress_, path, assignment->name_span, path);
  Scope inner = scope();
  inner.bound = variant.bound;
  const Value value = hcl::evaluate(*assignment->value, inner);
  try {
    return variant.seen.insert_or_assign(name, set_attribute(variant.target, name, value)).first->second;
  } catch (const ValueError& error) {
    fail_block(assignment->value->span, cat("unsuitable value for ", name, ": ", error.what()));
  }
}

std::optional<Value> Blocks::block(const std::string& root, const std::string& name, const std::string& wanted) {
  if (root == "group") {
    const auto found = std::find_if(groups_.rbegin(), groups_.rend(), [&](const auto* group) {
      return !group->labels.empty() && group->labels.front() == name;
    });
    if (found == groups_.rend()) return std::nullopt;
    const Group group = evaluate_group(**found);
    const hcl::ValueMap all = {{"name", Value::string(name)},
                               {"description", Value::string(group.description)},
                               {"targets", hcl::strings(group.targets)}};
    if (wanted.empty()) return Value::object(all);
    const auto part = all.find(wanted);
    return part == all.end() ? std::nullopt : std::optional(part->second);
  }
  const auto found =
      std::find_if(variants_.rbegin(), variants_.rend(), [&](const auto& variant) { return variant->name == name; });
  if (found == variants_.rend()) return std::nullopt;
  if (wanted == "name") return Value::string(name);
  if (!wanted.empty()) return is_target_attribute(wanted) ? std::optional(attribute(**found, wanted)) : std::nullopt;
  evaluate_target(**found);
  hcl::ValueMap all(found->get()->seen.begin(), found->get()->seen.end());
  all.insert_or_assign("name", Value::string(name));
  return Value::object(std::move(all));
}

void set_bases(Variant& variant) {
  const Span& span = variant.block->span;
  const std::string file = span.source ? span.source->name() : "";
  const bool remote = file.empty() || file == "-" || file.find("://") != std::string::npos;
  PathBases& bases = variant.target.bases;
  bases.file = remote ? "" : dir_name(file).empty() ? "." : dir_name(file);
  if (const auto* context = variant.block->body.find("context")) {
    bases.context = bases.file;
    const auto* step = std::get_if<hcl::Attribute>(&context->value->node);
    const auto* target = step && step->name == "context" ? std::get_if<hcl::Attribute>(&step->from->node) : nullptr;
    const std::string* root = target ? hcl::as_word(*target->from) : nullptr;
    if (root && *root == "target") bases.context_target = target->name;
  }
  for (const auto& [name, _] : variant.target.contexts) bases.contexts[name] = *bases.file;
}

void Blocks::evaluate_target(Variant& variant) {
  for (const hcl::Assignment& assignment : variant.block->body.attributes)
    if (is_target_attribute(assignment.name)) (void)attribute(variant, assignment.name);
  set_bases(variant);
}

Group Blocks::evaluate_group(const hcl::Block& block) {
  Group out;
  out.name = only_label(block);
  checked_name(out.name, block.label_span);
  for (const std::string_view name : {"name", "matrix"})
    if (const auto* other = block.body.find(name))
      fail_block(other->name_span, cat(name, " is not supported for groups"));
  const hcl::Assignment* targets = block.body.find("targets");
  if (!targets) fail_block(block.span, cat("group ", go_quote(out.name), " has no targets"), "targets = [\"name\"]");
  const ScopeExit done = begin_evaluation(in_progress_, "group." + out.name, block.span, "group." + out.name);
  const Value list = hcl::converted(hcl::evaluate(*targets->value, scope()), hcl::Type::list(hcl::Type::string()),
                                    targets->value->span);
  if (!list.is_null())
    for (const Value& item : list.items()) {
      if (item.is_null()) fail_block(targets->value->span, "name of a target is null");
      out.targets.push_back(item.as_string());
    }
  if (const auto* text = block.body.find("description")) {
    const Value value = hcl::converted(hcl::evaluate(*text->value, scope()), hcl::Type::string(), text->value->span);
    if (!value.is_null()) out.description = value.as_string();
  }
  return out;
}

void add_group(Config& config, Group group) {
  const auto same = std::find_if(config.groups.begin(), config.groups.end(),
                                 [&](const Group& other) { return other.name == group.name; });
  if (same == config.groups.end())
    config.groups.push_back(std::move(group));
  else
    *same = std::move(group);
}

void add_target(Config& config, const Target& target) {
  const auto same = std::find_if(config.targets.begin(), config.targets.end(),
                                 [&](const Target& other) { return other.name == target.name; });
  if (same == config.targets.end())
    config.targets.push_back(target);
  else
    merge(*same, target);
}

/// A matrix is also a group of its targets, under the label of the block.
void add_matrix_groups(Config& config, const std::vector<std::unique_ptr<Variant>>& variants) {
  std::map<std::string, Strings> groups;
  for (const auto& variant : variants) groups[variant->block->labels.front()].push_back(variant->name);
  for (auto& [label, names] : groups) {
    names = without_repeats(names);
    if (names.size() != 1 || names.front() != label) config.groups.push_back({label, "", names});
  }
}

void Blocks::read(Config& config) {
  read_functions();
  read_variables(config);
  for (const hcl::Block* block : targets_) expand(*block);
  for (const hcl::Block* block : groups_) add_group(config, evaluate_group(*block));
  for (const auto& variant : variants_) {
    evaluate_target(*variant);
    add_target(config, variant->target);
  }
  for (const auto& [name, _] : globals_) (void)variable(name);
  add_matrix_groups(config, variants_);
  for (Group& group : config.groups) group.targets = without_repeats(group.targets);
}

}  // namespace

const std::vector<std::string>& block_types() {
  static const std::vector<std::string> kTypes = {"function", "group", "target", "variable"};
  return kTypes;
}

void read_blocks(const std::vector<hcl::Body>& files, const VariableSources& sources, Config& config) {
  Blocks(files, sources).read(config);
}

}  // namespace cbuild::bake
