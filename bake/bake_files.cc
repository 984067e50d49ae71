// SPDX-License-Identifier: Apache-2.0
// Bake files by name, or those that lie in the directory; each is read as what its name says, else as what it can be.
#include "bake/bake_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "bake/blocks.h"
#include "bake/compose.h"
#include "bake/hcl/parser.h"
#include "bake/names.h"
#include "base/error.h"
#include "base/plain_file.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::bake {
namespace {

constexpr std::size_t kMaxBytes = 16 << 20;

constexpr std::string_view kDefaultNames[] = {
    "compose.yaml",     "compose.yml",     "docker-compose.yml",        "docker-compose.yaml",
    "docker-bake.json", "docker-bake.hcl", "docker-bake.override.json", "docker-bake.override.hcl"};

std::vector<BakeFile> read_default_files() {
  std::vector<BakeFile> out;
  for (const std::string_view name : kDefaultNames)
    if (auto text = sys::try_read_plain(AT_FDCWD, std::string(name), kMaxBytes))
      out.push_back({std::string(name), std::move(*text)});
  if (out.empty())
    throw Error(ErrorCode::not_found, "couldn't find a bake definition")
        .with_hint("docker-bake.hcl, docker-bake.json or compose.yaml here, or -f FILE");
  return out;
}

enum class Syntax { compose, json, native };

bool parses_as_compose(const BakeFile& file) {
  try {
    return is_compose(file.text);
  } catch (const Error&) {
    return false;
  }
}

bool parses_as_json(const std::shared_ptr<const SourceText>& source) {
  try {
    (void)hcl::parse_json(source, block_types());
    return true;
  } catch (const DiagnosticError&) {
    return false;
  }
}

/// By the ending of the name; without one that is known, by what the text can be read as.
Syntax syntax_of(const BakeFile& file, const std::shared_ptr<const SourceText>& source) {
  const std::string name = to_lower(file.name);
  if (name.ends_with(".yml") || name.ends_with(".yaml")) return Syntax::compose;
  if (name.ends_with(".json")) return Syntax::json;
  if (name.ends_with(".hcl")) return Syntax::native;
  if (parses_as_compose(file)) return Syntax::compose;
  return trim(file.text).starts_with('{') && parses_as_json(source) ? Syntax::json : Syntax::native;
}

bool is_special(std::string_view path) {
  for (const std::string_view prefix : {"cwd://", "target:", "docker-image:", "oci-layout://", "/"})
    if (path.starts_with(prefix)) return true;
  return is_remote(path);
}

std::string rebased(const std::string& base, const std::string& path) {
  return base.empty() || path.empty() || is_special(path) ? path : join_path(base, path);
}

void rebase(Target& target) {
  if (target.context && target.bases.context)
    target.context = rebased(*target.bases.context, *target.context);
  else if (!target.context && target.bases.file)
    target.context = rebased(*target.bases.file, ".");
  for (auto& [name, path] : target.contexts)
    if (const auto base = target.bases.contexts.find(name); base != target.bases.contexts.end())
      path = rebased(base->second, path);
}

/// A context that is another target's is relative to that one's file.
void rebase_all(Config& config) {
  for (Target& target : config.targets) {
    const Target* other = find_target(config, target.bases.context_target);
    if (other) target.bases.context = other->bases.context ? other->bases.context : other->bases.file;
  }
  for (Target& target : config.targets) rebase(target);
}

}  // namespace

std::vector<BakeFile> read_files(const std::vector<std::string>& names) {
  if (names.empty()) return read_default_files();
  std::vector<BakeFile> out;
  for (const std::string& given : names) {
    const std::string name = given.starts_with("cwd://") ? given.substr(6) : given;
    if (name == "-") {
      out.push_back({name, sys::read_all(STDIN_FILENO, kMaxBytes)});
      continue;
    }
    auto text = sys::try_read_plain(AT_FDCWD, name, kMaxBytes, sys::Pipes::taken);
    if (!text) throw Error(ErrorCode::not_found, cat(name, ": no such file"));
    out.push_back({name, std::move(*text)});
  }
  return out;
}

Config read_config(const std::vector<BakeFile>& files, const VariableSources& sources, bool relative) {
  std::vector<BakeFile> compose;
  std::vector<hcl::Body> bodies;
  for (const BakeFile& file : files) {
    const auto source = std::make_shared<const SourceText>(file.name, file.text);
    const Syntax syntax = syntax_of(file, source);
    if (syntax == Syntax::compose)
      compose.push_back(file);
    else
      bodies.push_back(syntax == Syntax::json ? hcl::parse_json(source, block_types()) : hcl::parse(source));
  }
  Config config;
  if (!compose.empty()) read_compose(compose, sources, config);
  if (!bodies.empty()) read_blocks(bodies, sources, config);
  if (relative) rebase_all(config);
  return config;
}

}  // namespace cbuild::bake
