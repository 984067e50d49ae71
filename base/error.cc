// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/text.h"

namespace cbuild {

namespace {

ErrorCode code_of_errno(int err) {
  switch (err) {
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::no_space;
    case EACCES:
    case EPERM:
      return ErrorCode::denied;
    case ENOENT:
      return ErrorCode::not_found;
    default:
      return ErrorCode::io;
  }
}

std::string describe_errno(int err) {
  const char* text = strerrordesc_np(err);
  return text != nullptr ? std::string(text) : cat("errno ", err);
}

}  // namespace

Error::Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)), text_(message_) {}

Error& Error::add_context(std::string_view frame) {
  text_.insert(0, cat(frame, ": "));
  return *this;
}

void throw_errno(int err, std::string_view what) {
  throw Error(code_of_errno(err), cat(what, ": ", describe_errno(err))).with_errno(err);
}

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::usage:
      return "usage";
    case ErrorCode::input:
      return "input";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::denied:
      return "denied";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::io:
      return "io";
    case ErrorCode::no_space:
      return "no_space";
    case ErrorCode::network:
      return "network";
    case ErrorCode::corrupt:
      return "corrupt";
    case ErrorCode::missing_content:
      return "missing_content";
    case ErrorCode::step_failed:
      return "step_failed";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::internal:
      return "internal";
  }
  CBUILD_CHECK(false);
}

void check_failed(const char* condition, const char* file, int line) {
  const std::string text = cat(file, ":", line, ": internal error: ", condition, "\n");
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) {
    // Nowhere left to say it; the core dump says the rest.
  }
  std::abort();
}

}  // namespace cbuild
