// SPDX-License-Identifier: Apache-2.0
// Compares the make-up of a step now with its make-up before. Labels are compared, not positions, so that a line more
// in a Dockerfile does not make everything below it look new.
#include "solver/graph/explain.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <variant>

#include "base/text.h"
#include "solver/graph/key_part.h"

namespace cbuild::solver {

namespace {

using Kind = Difference::Kind;

constexpr std::size_t kShownDigest = 19;  // "sha256:" and 12 digits

struct Label {
  std::string word, rest;
};

Label split_label(const std::string& label) {
  const std::size_t space = label.find(' ');
  if (space == std::string::npos) return {label, {}};
  return {label.substr(0, space), label.substr(space + 1)};
}

/// How a word at the head of a label is shown; nullopt: only a help for other parts.
struct Subject {
  std::string_view word;
  Kind kind;
};
constexpr std::array kSubjects = {
    Subject{"command", Kind::instruction}, Subject{"inline", Kind::instruction}, Subject{"copy", Kind::instruction},
    Subject{"argument", Kind::argument},   Subject{"variable", Kind::variable},  Subject{"secret", Kind::secret},
    Subject{"path", Kind::file},           Subject{"files", Kind::files},        Subject{"base", Kind::base},
    Subject{"step", Kind::step},
};

Kind kind_of(const std::string& word) {
  const auto found = std::find_if(kSubjects.begin(), kSubjects.end(), [&](const Subject& s) { return s.word == word; });
  return found == kSubjects.end() ? Kind::option : found->kind;
}

std::string short_digest(std::string_view text) {
  return std::string(text.starts_with("sha256:") ? text.substr(0, kShownDigest) : text);
}

std::vector<std::string> words(const std::string& value) { return split(value, ' '); }

std::string word_with(const std::vector<std::string>& words, std::string_view prefix) {
  for (const std::string& word : words)
    if (word.starts_with(prefix)) return word.substr(prefix.size());
  return {};
}

std::string digest_word(const std::vector<std::string>& words) {
  for (const std::string& word : words)
    if (word.starts_with("sha256:")) return word;
  return {};
}

std::string arrow(const std::string& before, const std::string& after) { return cat(" (", before, " -> ", after, ")"); }

std::string size_note(const std::string& before, const std::string& after) {
  if (before.empty() || after.empty() || before == after) return {};
  return cat(", ", before, " -> ", after, " bytes");
}

/// Values of paths: "TYPE MODE OWNER [size=N] [xattrs=DIGEST] [open] DIGEST", with "-" for fields that do not count;
/// "open": a directory whose entries have lines of their own.
Difference file_change(const std::string& path, const std::string& before, const std::string& after) {
  const std::vector<std::string> a = words(before), b = words(after);
  const auto at = [](const std::vector<std::string>& w, std::size_t i) { return i < w.size() ? w[i] : std::string(); };
  const auto changed = [&](std::string what, const std::string& x, const std::string& y, const std::string& more = {}) {
    std::string text = cat(path, ": ", what, " changed (", short_digest(x), " -> ", short_digest(y), more, ")");
    return Difference{Kind::file, path, std::move(what), x, y, std::move(text)};
  };
  const bool typed = a.size() > 1 && b.size() > 1;
  if (typed && at(a, 0) != at(b, 0)) return changed("type", at(a, 0), at(b, 0));
  if (digest_word(a) != digest_word(b)) {
    const bool link = at(a, 0) == "symlink";
    return changed(link ? "target" : "content", digest_word(a), digest_word(b),
                   size_note(word_with(a, "size="), word_with(b, "size=")));
  }
  if (at(a, 1) != at(b, 1)) return changed("mode", at(a, 1), at(b, 1));
  if (at(a, 2) != at(b, 2)) return changed("owner", at(a, 2), at(b, 2));
  return changed("attributes", word_with(a, "xattrs="), word_with(b, "xattrs="));
}

/// "identity rest": the first word counts, the rest is its name.
std::string described(const std::string& value) {
  const std::size_t space = value.find(' ');
  return space == std::string::npos ? value : value.substr(space + 1);
}

Difference base_change(const std::string& before, const std::string& after) {
  const std::string a = described(before), b = described(after);
  const auto name = [](const std::string& text) { return word_with(words(text), "name="); };
  const std::string what = name(b).empty() ? std::string("base image") : cat("base image ", name(b));
  if (name(a) != name(b) && !name(a).empty() && !name(b).empty())
    return {Kind::base,
            name(b),
            "name",
            digest_word(words(a)),
            digest_word(words(b)),
            cat("base image changed", arrow(name(a), name(b)))};
  return {Kind::base,
          name(b),
          "digest",
          digest_word(words(a)),
          digest_word(words(b)),
          cat(what, " changed", arrow(short_digest(digest_word(words(a))), short_digest(digest_word(words(b)))))};
}

Difference option_change(const Label& label, const std::string& before, const std::string& after) {
  static const std::map<std::string, std::string> kNames = {{"workdir", "working directory"},
                                                            {"hosts", "host names"},
                                                            {"chown", "owner"},
                                                            {"chmod", "mode"},
                                                            {"op", "options"}};
  const auto known = kNames.find(label.word);
  std::string name = known == kNames.end() ? label.word : known->second;
  if (!label.rest.empty()) name += cat(" of ", label.rest);
  if (label.word == "op") return {Kind::option, name, "value", before, after, "its options changed"};
  const std::string a = before.empty() ? "none" : short_digest(before),
                    b = after.empty() ? "none" : short_digest(after);
  return {Kind::option, name, "value", before, after, cat(name, " changed", arrow(a, b))};
}

Difference instruction_change(const Label& label, const std::string& before, const std::string& after) {
  if (label.word == "inline")
    return {Kind::instruction, label.rest, "text", before, after, cat("the text of ", label.rest, " changed")};
  constexpr std::size_t kShown = 60;
  const auto shown = [](const std::string& text) {
    return text.size() <= kShown ? short_digest(text) : cat(text.substr(0, kShown), "...");
  };
  const std::string text = before.starts_with("sha256:") || after.starts_with("sha256:")
                               ? std::string("the instruction changed")
                               : cat("the instruction changed", arrow(shown(before), shown(after)));
  return {Kind::instruction, {}, "text", before, after, text};
}

Difference changed(const Label& label, const std::string& before, const std::string& after) {
  switch (kind_of(label.word)) {
    case Kind::instruction:
      return instruction_change(label, before, after);
    case Kind::argument:
      return {Kind::argument, label.rest, "value", {}, {}, cat("ARG ", label.rest, " changed")};
    case Kind::variable:
      return {Kind::variable, label.rest, "value", {}, {}, cat("ENV ", label.rest, " changed")};
    case Kind::secret:
      return {Kind::secret, label.rest, "value", {}, {}, cat("secret ", label.rest, " changed")};
    case Kind::file:
      return file_change(label.rest, before, after);
    case Kind::files:
      return {Kind::files, label.rest, "content", before, after, cat("files of ", label.rest, " changed")};
    case Kind::base:
      return base_change(before, after);
    case Kind::step: {
      const std::string name(described(after));
      return {Kind::step,
              name,
              "result",
              before.substr(0, before.find(' ')),
              after.substr(0, after.find(' ')),
              cat("earlier step ", name, ": its output changed")};
    }
    case Kind::option:
      return option_change(label, before, after);
  }
  return {};
}

/// A part that only one side has.
Difference one_sided(const Label& label, const std::string& value, bool is_new) {
  const std::string_view change = is_new ? "new" : "removed", is = is_new ? " is new" : " is gone";
  const Kind kind = kind_of(label.word);
  const std::string before = is_new ? "" : value, after = is_new ? value : "";
  switch (kind) {
    case Kind::argument:
      return {kind, label.rest, std::string(change), {}, {}, cat("ARG ", label.rest, is)};
    case Kind::variable:
      return {kind, label.rest, std::string(change), {}, {}, cat("ENV ", label.rest, is)};
    case Kind::secret:
      return {kind, label.rest, std::string(change), {}, {}, cat("secret ", label.rest, is)};
    case Kind::file:
      return {kind,
              label.rest,
              std::string(change),
              digest_word(words(before)),
              digest_word(words(after)),
              cat(label.rest, is_new ? ": new" : ": removed")};
    case Kind::step:
    case Kind::base:
      return {kind,
              std::string(described(value)),
              std::string(change),
              before,
              after,
              is_new ? cat("it works on ", described(value), " now") : cat("it worked on ", described(value))};
    case Kind::option:
      return option_change(label, before, after);
    default: {
      const std::string name = label.rest.empty() ? label.word : cat(label.word, " ", label.rest);
      return {kind, name, std::string(change), before, after, cat(name, is)};
    }
  }
}

bool equal(const std::string& word, const std::string& before, const std::string& now) {
  if (word == "path") return replace_all(before, " open ", " ") == replace_all(now, " open ", " ");
  if (word != "base" && word != "step") return before == now;
  return before.substr(0, before.find(' ')) == now.substr(0, now.find(' '));
}

using Parts = std::map<std::string, std::string>;

Parts by_label(const std::vector<KeyPart>& parts) {
  Parts out;
  for (const KeyPart& part : parts)
    if (!part.label.starts_with("about ")) out.emplace(part.label, part.value);
  return out;
}

/// Own causes, then those from below; "option" last of the own ones because "op" changes with everything.
int rank(Kind kind) {
  switch (kind) {
    case Kind::instruction:
      return 0;
    case Kind::argument:
      return 1;
    case Kind::variable:
      return 2;
    case Kind::secret:
      return 3;
    case Kind::file:
      return 4;
    case Kind::files:
      return 5;
    case Kind::option:
      return 6;
    case Kind::base:
      return 7;
    case Kind::step:
      return 8;
  }
  return 9;
}

/// Where an opened directory's entries have their labels.
std::string below(const std::string& directory) {
  if (directory == ".") return {};
  return directory.ends_with("/.") ? directory.substr(0, directory.size() - 1) : directory + "/";
}

/// A directory whose entries are listed on both sides speaks through them; one that is the same, or listed on one side
/// only, speaks for them.
void drop_implied_by_directories(std::vector<Difference>& found, const Parts& a, const Parts& b) {
  const auto drop_below = [&](const std::string& path) {
    const std::string prefix = below(path);
    std::erase_if(found, [&](const Difference& d) {
      return d.kind == Kind::file && d.name != path && d.name.starts_with(prefix);
    });
  };
  for (const auto& [label, value] : b) {
    const auto old = a.find(label);
    if (!label.starts_with("path ") || old == a.end()) continue;
    const bool open_before = old->second.find(" open ") != std::string::npos,
               open_now = value.find(" open ") != std::string::npos;
    const std::string path = split_label(label).rest;
    const bool same = digest_word(words(old->second)) == digest_word(words(value));
    if (open_before && open_now && !same)
      std::erase_if(
          found, [&](const Difference& d) { return d.kind == Kind::file && d.name == path && d.change == "content"; });
    else if (open_before != open_now)
      drop_below(path);
  }
}

constexpr std::string_view kFiles = "files ", kContext = kBuildContext;

bool is_from(const std::string& path, const std::string& origin, const Parts& parts) {
  if (origin != kContext) return path.starts_with(cat(origin, ":/"));
  return std::none_of(parts.begin(), parts.end(), [&](const auto& part) {
    return part.first.starts_with(kFiles) && path.starts_with(cat(part.first.substr(kFiles.size()), ":/"));
  });
}

/// Paths say nothing where the whole selection is the same, or where only one side lists them.
void drop_unlisted(std::vector<Difference>& found, const Parts& a, const Parts& b) {
  for (const auto& [label, value] : b) {
    const auto old = a.find(label);
    if (!label.starts_with(kFiles) || old == a.end()) continue;
    const std::string origin = label.substr(kFiles.size());
    const auto lists = [&](const Parts& parts) {
      return std::any_of(parts.begin(), parts.end(), [&](const auto& part) {
        return part.first.starts_with("path ") && is_from(part.first.substr(5), origin, parts);
      });
    };
    if (old->second != value && lists(a) && lists(b)) continue;
    std::erase_if(found, [&](const Difference& d) { return d.kind == Kind::file && is_from(d.name, origin, b); });
  }
}

/// "files" stands for all paths of its origin and "op" for everything the instruction says: they tell something only
/// alone.
void drop_implied(std::vector<Difference>& found) {
  const auto any = [&](auto matches) { return std::any_of(found.begin(), found.end(), matches); };
  const bool files = any([](const Difference& d) { return d.kind == Kind::file; });
  const bool own = any([](const Difference& d) {
    return d.name != "options" && d.kind != Kind::file && d.kind != Kind::files && d.kind != Kind::base &&
           d.kind != Kind::step;
  });
  std::erase_if(found, [&](const Difference& d) {
    return (files && d.kind == Kind::files) || ((own || files) && d.kind == Kind::option && d.name == "options");
  });
}

}  // namespace

std::string_view to_string(Difference::Kind kind) {
  static constexpr std::string_view kNames[] = {"instruction", "argument", "variable", "secret", "file",
                                                "files",       "base",     "step",     "option"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view to_string(Reason::Kind kind) {
  static constexpr std::string_view kNames[] = {"", "never-built", "changed", "evicted", "no-cache", "missing-content"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::vector<Difference> differences(const std::vector<KeyPart>& before, const std::vector<KeyPart>& now) {
  const Parts a = by_label(before), b = by_label(now);
  std::vector<Difference> found;
  for (const KeyPart& part : now) {
    if (part.label.starts_with("about ")) continue;
    const Label label = split_label(part.label);
    const auto old = a.find(part.label);
    if (old == a.end())
      found.push_back(one_sided(label, part.value, true));
    else if (!equal(label.word, old->second, part.value))
      found.push_back(changed(label, old->second, part.value));
  }
  for (const auto& [name, value] : a)
    if (!b.contains(name)) found.push_back(one_sided(split_label(name), value, false));
  drop_unlisted(found, a, b);
  drop_implied_by_directories(found, a, b);
  drop_implied(found);
  std::stable_sort(found.begin(), found.end(),
                   [](const Difference& x, const Difference& y) { return rank(x.kind) < rank(y.kind); });
  return found;
}

std::vector<KeyPart> selection_parts(const std::string& origin, const Digest& whole, std::vector<KeyPart> parts) {
  std::vector<KeyPart> out{{cat("files ", origin.empty() ? std::string(kContext) : origin), whole.str()}};
  for (KeyPart& part : parts)
    out.push_back({cat("path ", origin.empty() ? "" : cat(origin, ":/"), part.label), std::move(part.value)});
  return out;
}

}  // namespace cbuild::solver
