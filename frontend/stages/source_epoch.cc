// SPDX-License-Identifier: Apache-2.0
// SOURCE_DATE_EPOCH may name a source instead of a number: the context, a named context, or a stage that is one ADD of
// a URL or a repository. Its time is then that of the commit or of the file. The stage is only read for that ADD;
// nothing of it is built.
#include "frontend/stages/source_epoch.h"

#include "base/error.h"
#include "base/text.h"
#include "frontend/stages/lower_contexts.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/stages/lower_remote.h"
#include "frontend/stages/source_pin.h"

namespace cbuild::frontend {

namespace {

constexpr std::string_view kContextName = "context";

using Source = std::optional<solver::Op>;

std::optional<std::int64_t> time_of(const Source& source, const LowerOptions& options) {
  if (!source || options.callbacks.pinner == nullptr) return std::nullopt;
  return options.callbacks.pinner->source_time(*source);
}

Source context_source(const NamedContext& context, const LowerOptions& options) {
  if (context.kind == NamedContext::Kind::git) {
    const std::optional<GitRef> ref = parse_git_ref(context.value, true);
    return pin_git_source(*ref, ref->keep_git_dir.value_or(false), options.callbacks.pinner);
  }
  if (context.kind != NamedContext::Kind::http) return std::nullopt;
  return pin_http_source(context.value, std::string(kContextName), "", options.callbacks.pinner);
}

/// A stage that is read for the time of its source only: its ADD is not carried out here.
class SourceStage {
 public:
  SourceStage(const Stage& stage, Variables args, char escape, const LowerOptions& options)
      : stage_(stage), args_(std::move(args)), escape_(escape), options_(options) {}

  Source read() {
    const auto& from = std::get<FromInstruction>(stage_.from.body);
    if (expand(from.image) != "scratch") reject(stage_.from.span, "SOURCE_DATE_EPOCH stage must use FROM scratch");
    for (const Instruction& instruction : stage_.instructions) take(instruction);
    if (add_ == nullptr) fail(stage_.from.span, "");
    return source_;
  }

 private:
  [[noreturn]] static void fail(const Span& span, const char* more) {
    reject(span, cat("SOURCE_DATE_EPOCH stage must contain exactly one remote ADD", more));
  }

  std::string expand(const Text& word) const {
    return at(word.span, [&] { return expand_word(word.value, args_.environment(), {.escape = escape_}).text; });
  }

  void take(const Instruction& instruction) {
    if (const auto* arg = std::get_if<ArgInstruction>(&instruction.body)) {
      for (const ArgInstruction::Item& item : arg->items) declare(item);
      return;
    }
    const auto* add = std::get_if<CopyInstruction>(&instruction.body);
    if (add == nullptr || !add->add) {
      reject(instruction.span,
             cat("SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported ",
                 to_lower(instruction.keyword.value), " instruction"),
             "the stage may hold ARG and one ADD of a URL or a repository");
    }
    if (add_ != nullptr) fail(instruction.span, "");
    if (!add->heredocs.empty() || add->sources.size() != 1) fail(instruction.span, " source");
    add_ = add;
    source_ = at(instruction.span, [&] { return source_of(*add, instruction.span); });
  }

  void declare(const ArgInstruction::Item& item) {
    const auto given = options_.build_args.find(item.name.value);
    if (given != options_.build_args.end())
      args_.set(item.name.value, given->second);
    else if (item.default_value)
      args_.set(item.name.value, expand(*item.default_value));
  }

  solver::Op source_of(const CopyInstruction& add, const Span& span) const {
    const std::string source = expand(add.sources[0]);
    const std::string checksum = add.checksum ? expand(*add.checksum) : "";
    if (std::optional<GitRef> ref = parse_git_ref(source, false)) {
      if (!checksum.empty()) ref->checksum = checksum;
      return pin_named_git(*ref, ref->keep_git_dir.value_or(add.keep_git_dir), options_.callbacks, span);
    }
    if (!is_http_url(source)) reject(span, "SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD");
    return pin_named_url(source, url_file_name(source), checksum, options_.callbacks, span);
  }

  const Stage& stage_;
  Variables args_;
  const char escape_;
  const LowerOptions& options_;
  const CopyInstruction* add_ = nullptr;
  Source source_;
};

}  // namespace

std::optional<std::int64_t> source_epoch(const std::string& value, const Variables& globals,
                                         const Dockerfile& dockerfile, const LowerOptions& options) {
  if (value == "context") return time_of(options.context_source, options);
  const NamedContexts contexts(options.named_contexts);
  if (const auto context = contexts.find(value, options.target_platform)) {
    return time_of(context_source(*context, options), options);
  }
  for (const Stage& stage : dockerfile.stages) {
    if (!iequals(stage.name, value)) continue;
    Variables args = globals;
    args.erase("SOURCE_DATE_EPOCH");
    return time_of(SourceStage(stage, std::move(args), dockerfile.escape, options).read(), options);
  }
  throw Error(ErrorCode::input, cat("invalid SOURCE_DATE_EPOCH: ", value))
      .with_hint(
          "give the seconds since 1970-01-01, context, the name of a build context, or of a stage that is one ADD");
}

}  // namespace cbuild::frontend
