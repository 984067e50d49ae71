// SPDX-License-Identifier: Apache-2.0
// A text scan that errs on one side: text that it cannot read for certain may use everything. It goes through the text
// once, keeps track of quotes, and looks at each word where a shell expects a command. A program that is not in the
// table ends the scan, because make, a compiler, an interpreter or a script may read any variable without the text
// saying so.
#include "frontend/lower/arg_usage.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "base/text.h"

namespace cbuild::frontend {

namespace {

using Prefixes = std::vector<std::string_view>;

/// Read by any program through libc, the shell or the loader.
constexpr std::array<std::string_view, 24> kAlways = {
    "PATH",   "HOME",  "USER",    "LOGNAME", "SHELL",    "PWD",     "OLDPWD",    "IFS",
    "ENV",    "BASH_", "PS",      "LANG",    "LANGUAGE", "LC_",     "TZ",        "TERM",
    "TMPDIR", "LD_",   "MALLOC_", "GCONV_",  "POSIXLY_", "NLSPATH", "SHELLOPTS", "CDPATH"};

/// Programs whose use of the environment is documented, and the beginnings of the names they read. Maintainer scripts
/// that apt and apk run are taken to read only debconf's variables. sed is not here: it can run commands.
const std::map<std::string_view, Prefixes>& programs() {
  static const std::map<std::string_view, Prefixes> kPrograms = [] {
    std::map<std::string_view, Prefixes> out;
    for (const std::string_view name :
         {"echo",  "printf",  "true",      "false",     ":",       "test",     "[",        "cd",      "mkdir",
          "rmdir", "rm",      "ln",        "touch",     "chmod",   "chown",    "chgrp",    "cat",     "head",
          "tail",  "cut",     "tr",        "uniq",      "wc",      "tee",      "basename", "dirname", "pwd",
          "sleep", "stat",    "sha256sum", "sha512sum", "md5sum",  "base64",   "seq",      "id",      "whoami",
          "uname", "useradd", "usermod",   "groupadd",  "adduser", "addgroup", "exit",     "umask",   "ldconfig",
          "wait",  "sync",    "realpath",  "readlink",  "mktemp",  "expr"})
      out[name] = {};
    out["cp"] = out["mv"] = out["install"] = {"SIMPLE_BACKUP_SUFFIX", "VERSION_CONTROL"};
    out["ls"] = out["du"] =
        out["df"] = {"LS_", "COLUMNS", "TABSIZE", "QUOTING_STYLE", "TIME_STYLE", "BLOCK", "DU_", "DF_"};
    out["date"] = {"SOURCE_DATE_EPOCH"};
    out["sort"] = {"_POSIX2_VERSION"};
    out["grep"] = out["egrep"] = out["fgrep"] = {"GREP_"};
    out["tar"] = {"TAR_", "TAPE",   "GZIP", "XZ_", "BZIP", "ZSTD_", "SIMPLE_BACKUP_SUFFIX", "VERSION_CONTROL",
                  "RSH",  "COLUMNS"};
    out["gzip"] = out["gunzip"] = out["zcat"] = {"GZIP"};
    out["xz"] = out["unxz"] = {"XZ_"};
    out["unzip"] = {"UNZIP", "ZIPINFO"};
    const Prefixes network = {"http_", "https_", "ftp_",  "no_",   "all_", "HTTP",          "FTP_",    "NO_",
                              "ALL_",  "SSL_",   "CURL_", "NETRC", "WGET", "SSLKEYLOGFILE", "OPENSSL_"};
    out["curl"] = out["wget"] = network;
    Prefixes packages = network;
    packages.insert(packages.end(),
                    {"APT_", "DEB", "DPKG_", "UCF_", "APK", "COLUMNS", "NEEDRESTART_", "SYSTEMD_", "INITRD"});
    out["apt-get"] = out["apt"] = out["apt-cache"] = out["apt-mark"] = out["apk"] = packages;
    return out;
  }();
  return kPrograms;
}

/// Options by which a program of the table runs another one.
constexpr std::array<std::string_view, 9> kRunners = {
    "--to-command",       "--use-compress-program", "--checkpoint-action", " -I",
    "--compress-program", "--strip-program",        "--use-askpass",       "-Invoke",
    "--rsh-command"};

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Words behind which a command stands.
bool is_opener(std::string_view word) {
  constexpr std::array<std::string_view, 10> kOpeners = {"if",    "then",  "else", "elif", "do",
                                                         "while", "until", "!",    "{",    "time"};
  return std::find(kOpeners.begin(), kOpeners.end(), word) != kOpeners.end();
}

bool is_closer(std::string_view word) { return word == "fi" || word == "done" || word == "}"; }

/// "NAME=value" in front of a command.
bool is_assignment(std::string_view word) {
  const std::size_t equals = word.find('=');
  return equals != std::string_view::npos && equals > 0 &&
         std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals), is_name_char);
}

/// The last name of a path that programs are commonly called by; a path elsewhere is some script.
std::optional<std::string_view> program_name(std::string_view word) {
  for (const std::string_view directory : {"/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/"})
    if (word.starts_with(directory)) word.remove_prefix(directory.size());
  if (word.empty() || word.find('/') != std::string_view::npos) return std::nullopt;
  return word;
}

/// Of the parenthesis that was opened before `from`; npos if there is none.
std::size_t closing_parenthesis(std::string_view text, std::size_t from) {
  std::size_t depth = 1;
  for (std::size_t i = from; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\')
      ++i;
    else if (c == '\'' || c == '"')
      i = std::min(text.find(c, i + 1), text.size());
    else if (c == '(')
      ++depth;
    else if (c == ')' && --depth == 0)
      return i;
  }
  return std::string_view::npos;
}

class ShellScan {
 public:
  explicit ShellScan(std::string_view text) : text_(text) {}

  /// False if it may use everything.
  bool read() {
    while (at_ < text_.size())
      if (!step()) return false;
    return end_word();
  }

  std::vector<std::string> prefixes;

 private:
  bool step() {
    const char c = text_[at_];
    switch (c) {
      case '\'':
        return single_quoted();
      case '"':
        in_double_ = !in_double_;
        word_ += c;
        ++at_;
        return true;
      case '\\':
        return escaped();
      case '$':
        return dollar();
      case '`':
        return false;
      default:
        break;
    }
    if (in_double_) {
      word_ += c;
      ++at_;
      return true;
    }
    return unquoted(c);
  }

  bool unquoted(char c) {
    if (c == ' ' || c == '\t') {
      ++at_;
      return end_word();
    }
    if (c == '#' && word_.empty()) {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      return true;
    }
    if (c == '\n' || c == ';' || c == '&' || c == '|') return separator();
    if (c == '(') {  // a group, unless it is a function's or a pattern's
      ++at_;
      if (!word_.empty() || !command_next_) return false;
      ++depth_;
      return true;
    }
    if (c == ')') {
      ++at_;
      if (depth_ == 0 || !end_word()) return false;
      --depth_;
      command_next_ = false;
      return true;
    }
    if (c == '<' || c == '>') return redirection();
    word_ += c;
    ++at_;
    return true;
  }

  bool separator() {
    ++at_;
    if (!end_word()) return false;
    skip_words_ = false;
    command_next_ = true;
    return true;
  }

  /// "2>&1", ">file", "<file"; a heredoc or a process substitution is not read.
  bool redirection() {
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with("<<") || rest.starts_with("<(") || rest.starts_with(">(")) return false;
    if (std::all_of(word_.begin(), word_.end(), [](char c) { return c >= '0' && c <= '9'; })) word_.clear();
    if (!end_word()) return false;
    ++at_;
    if (at_ < text_.size() && (text_[at_] == '>' || text_[at_] == '&' || text_[at_] == '|')) ++at_;
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    target_next_ = true;
    return true;
  }

  bool single_quoted() {
    if (in_double_) {
      word_ += text_[at_++];
      return true;
    }
    const std::size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) return false;
    word_ += text_.substr(at_, end - at_ + 1);
    at_ = end + 1;
    return true;
  }

  bool escaped() {
    if (at_ + 1 >= text_.size()) return false;
    if (text_[at_ + 1] != '\n') word_ += text_.substr(at_, 2);  // an escaped line end is nothing
    at_ += 2;
    return true;
  }

  /// $NAME and ${NAME...} are words of the text anyway. "$(...)" is a text of its own; "${!NAME}", "$((", "$'" and
  /// "$\"" are not read.
  bool dollar() {
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with("$((") || rest.starts_with("${!") || rest.starts_with("$'") || rest.starts_with("$\""))
      return false;
    if (!rest.starts_with("$(")) {
      word_ += '$';
      ++at_;
      return true;
    }
    const std::size_t end = closing_parenthesis(text_, at_ + 2);
    if (end == std::string_view::npos) return false;
    ShellScan inner(text_.substr(at_ + 2, end - at_ - 2));
    if (!inner.read()) return false;
    prefixes.insert(prefixes.end(), inner.prefixes.begin(), inner.prefixes.end());
    word_ += "$";
    at_ = end + 1;
    return true;
  }

  bool end_word() {
    if (word_.empty()) return true;
    const std::string word = std::exchange(word_, {});
    if (std::exchange(target_next_, false)) return true;
    if (skip_words_ || !command_next_) return true;
    if (is_opener(word) || is_assignment(word)) return true;
    command_next_ = false;
    if (is_closer(word)) return true;
    if (word == "for") return skip_words_ = true;
    if (word == "set") return true_if_options();
    return is_known(word);
  }

  /// "set -ex" is harmless, "set" alone prints all variables, "set -a" exports more.
  bool true_if_options() {
    std::size_t i = at_;
    while (i < text_.size() && (text_[i] == ' ' || text_[i] == '\t')) ++i;
    if (i >= text_.size() || (text_[i] != '-' && text_[i] != '+')) return false;
    for (++i; i < text_.size() && is_name_char(text_[i]); ++i)
      if (std::string_view("exuo").find(text_[i]) == std::string_view::npos)
        return text_.substr(i).starts_with("pipefail");
    return true;
  }

  bool is_known(const std::string& word) {
    const auto name = program_name(word);
    const auto known = name ? programs().find(*name) : programs().end();
    if (known == programs().end()) return false;
    prefixes.insert(prefixes.end(), known->second.begin(), known->second.end());
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string word_;
  bool in_double_ = false, command_next_ = true, skip_words_ = false, target_next_ = false;
  unsigned depth_ = 0;
};

/// The text of "sh -c TEXT"; nullopt for anything else.
std::optional<std::string_view> shell_text(const std::vector<std::string>& argv) {
  if (argv.size() < 3) return std::nullopt;
  const auto name = program_name(argv[0]);
  if (!name || (*name != "sh" && *name != "bash" && *name != "dash" && *name != "ash")) return std::nullopt;
  for (std::size_t i = 1; i + 1 < argv.size(); ++i) {
    const std::string& option = argv[i];
    const bool last = i + 2 == argv.size();
    if (last)
      return option.starts_with('-') && option.ends_with('c') ? std::optional<std::string_view>(argv.back())
                                                              : std::nullopt;
    const bool named = i > 1 && argv[i - 1].ends_with('o');
    if (!named && !(option.starts_with('-') && option.find_first_not_of("-exuo") == std::string::npos))
      return std::nullopt;
    if (named && option != "pipefail") return std::nullopt;
  }
  return std::nullopt;
}

std::set<std::string> words_of(std::string_view text) {
  std::set<std::string> out;
  std::string word;
  for (const char c : text) {
    if (is_name_char(c)) {
      word += c;
    } else if (!word.empty()) {
      out.insert(std::exchange(word, {}));
    }
  }
  if (!word.empty()) out.insert(word);
  return out;
}

}  // namespace

bool ArgUsage::uses(std::string_view name) const {
  const auto begins = [&](std::string_view prefix) { return name.starts_with(prefix); };
  return all || words.contains(std::string(name)) || std::any_of(kAlways.begin(), kAlways.end(), begins) ||
         std::any_of(prefixes.begin(), prefixes.end(), begins);
}

ArgUsage arg_usage(const std::vector<std::string>& argv, bool plain) {
  ArgUsage out;
  const auto text = shell_text(argv);
  if (!text || !plain) return out;
  if (std::any_of(kRunners.begin(), kRunners.end(),
                  [&](auto option) { return text->find(option) != std::string_view::npos; }))
    return out;
  ShellScan scan(*text);
  if (!scan.read()) return out;
  out.all = false;
  out.words = words_of(*text);
  out.prefixes = std::move(scan.prefixes);
  return out;
}

}  // namespace cbuild::frontend
