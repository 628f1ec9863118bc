// Sphinx 9.0 looks for ChineseStemmer and defines EnglishStemmer only (sphinx-doc/sphinx#14229).
Object.defineProperty(window, "ChineseStemmer", { get: () => EnglishStemmer });
