// Names in the languages of files that are submitted to engines.
#pragma once
#include <cstdint>
#include <map>
#include <string>

namespace pgram::sweep {

/// For bash: 'it'\''s'.
std::string shell_quoted(const std::string& text);
/// JSON's form, which is also a string of YAML and of Python. InputError naming `field` for what is no UTF-8.
std::string string_literal(const std::string& text, const std::string& field);
/// For a comment: one line, whatever is in it.
std::string comment_text(const std::string& text);
/// Letters, digits and '-', at most `most` of them, neither beginning nor ending with '-': what Kubernetes takes as a
/// name, and what every engine does. "sweep" if nothing is left.
std::string plain_name(const std::string& text, size_t most);

/// "1 shard", "16 shards"
std::string counted(uint64_t count, const std::string& thing);

/// `text` with every @NAME@ replaced; what is put in is not looked at again.
std::string filled_in(const std::string& text, const std::map<std::string, std::string>& values);

}  // namespace pgram::sweep
